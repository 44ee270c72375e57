// Operation: the forward pass of a convolution, as an implicit matrix product without an im2col buffer.
//
//   y[n, oy, ox, o] = act(norm(bias[o] + sum over ky, kx, i of x[n, iy, ix, i] w[o, ky, kx, i])
//                         + residual[n, oy, ox, o]),    iy = oy s + ky d - p, ix = ox s + kx d - p
//   norm(v) = (v - mean[o]) / sqrt(variance[o] + epsilon) * gamma[o] + beta[o]        (with HAS_NORM)
//
// Stride s, padding p and dilation d are given for each side. A linear layer is the 1 x 1 case over an image of 1 x
// N.
// Product: rows are output pixels (n, oy, ox), columns output channels o, segments taps (ky, kx), inner the quads
// of i.
// Shapes: x (N, H, W, I/4); y and with HAS_RESIDUAL residual (N, OH, OW, O/4); weight (O, KH, KW, I/4) at
// params.weight of the value arena, with bias (O/4) at params.bias, gamma and beta at params.gamma and params.beta;
// mean and variance (O/4) at params.mean and params.variance of the statistics arena. All are in quads. Dispatched
// by src/model/convolution.ts.
// Source: Chetlur et al. 2014, cuDNN, arXiv 1410.0759 (implicit GEMM).

// include math/maximum

struct Params {
  rows: u32,
  columns: u32,
  segments: u32,
  inner: u32,
  segments_per_split: u32,
  in_height: u32,
  in_width: u32,
  out_height: u32,
  out_width: u32,
  kernel_width: u32,
  stride_y: u32,
  stride_x: u32,
  padding_y: u32,
  padding_x: u32,
  dilation_y: u32,
  dilation_x: u32,
  weight: u32,
  bias: u32,
  mean: u32,
  variance: u32,
  gamma: u32,
  beta: u32,
  epsilon: f32,
}

override HAS_BIAS: bool = true;
override HAS_NORM: bool = false;
override HAS_RESIDUAL: bool = false;
override RELU: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> values: array<vec4f>;
@group(0) @binding(3) var<storage, read> statistics: array<vec4f>;
@group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;

// Four output pixels: where their windows start, and the first pixel of their images.
struct Rows {
  image: vec4i,
  top: vec4i,
  left: vec4i,
}

// Four output channels: the quads at which their filters start.
struct Columns {
  filters: vec4u,
}

fn rows_at(row: u32) -> Rows {
  let pixel = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u));
  let area = params.out_height * params.out_width;
  let image = pixel / area;
  let rest = pixel - image * area;
  let out_y = rest / params.out_width;
  let out_x = rest - out_y * params.out_width;
  return Rows(
    vec4i(image * (params.in_height * params.in_width)),
    vec4i(out_y * params.stride_y) - vec4i(i32(params.padding_y)),
    vec4i(out_x * params.stride_x) - vec4i(i32(params.padding_x)),
  );
}

fn columns_at(column: u32) -> Columns {
  let out_channel = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(params.columns - 1u));
  return Columns(vec4u(params.weight) + out_channel * (params.segments * params.inner));
}

// The quads at which the four rows' pixels under one tap start; -1 in the padding.
fn row_segment(rows: Rows, segment: u32) -> vec4i {
  let tap_y = segment / params.kernel_width;
  let tap_x = segment - tap_y * params.kernel_width;
  let in_y = rows.top + vec4i(i32(tap_y * params.dilation_y));
  let in_x = rows.left + vec4i(i32(tap_x * params.dilation_x));
  let height = vec4i(i32(params.in_height));
  let width = vec4i(i32(params.in_width));
  let inside = (in_y >= vec4i(0)) & (in_y < height) & (in_x >= vec4i(0)) & (in_x < width);
  let start = (rows.image + in_y * width + in_x) * i32(params.inner);
  return select(vec4i(-1), start, inside);
}

fn column_segment(columns: Columns, segment: u32) -> vec4u {
  return columns.filters + vec4u(segment * params.inner);
}

fn read_pixel(start: i32, k: u32) -> vec4f {
  return select(vec4f(0.0), read_x(u32(max(start, 0)) + k), start >= 0);
}

// a: column r holds row r's values at k .. k + 3.
fn load_a(rows: vec4i, k: u32) -> mat4x4f {
  return mat4x4f(
    read_pixel(rows.x, k),
    read_pixel(rows.y, k),
    read_pixel(rows.z, k),
    read_pixel(rows.w, k),
  );
}

// b: column j holds the four columns' values at k + j.
fn load_b(columns: vec4u, k: u32) -> mat4x4f {
  return transpose(mat4x4f(
    read_values(columns.x + k),
    read_values(columns.y + k),
    read_values(columns.z + k),
    read_values(columns.w + k),
  ));
}

// What a column's quad of channels adds to a sum, read once for several rows.
struct Epilogue {
  bias: vec4f,
  mean: vec4f,
  scale: vec4f,
  beta: vec4f,
}

fn epilogue_at(quad: u32) -> Epilogue {
  var epilogue = Epilogue();
  if (HAS_BIAS) {
    epilogue.bias = read_values(params.bias + quad);
  }
  if (HAS_NORM) {
    epilogue.mean = read_statistics(params.mean + quad);
    let deviation = sqrt(read_statistics(params.variance + quad) + params.epsilon);
    epilogue.scale = read_values(params.gamma + quad) / deviation;
    epilogue.beta = read_values(params.beta + quad);
  }
  return epilogue;
}

fn store_row(row: u32, column: u32, epilogue: Epilogue, sum: vec4f) {
  if (row >= params.rows) {
    return;
  }
  let index = row * ((params.columns + 3u) / 4u) + column / 4u;
  var value = sum;
  if (HAS_BIAS) {
    value += epilogue.bias;
  }
  if (HAS_NORM) {
    value = (value - epilogue.mean) * epilogue.scale + epilogue.beta;
  }
  if (HAS_RESIDUAL) {
    value += read_residual(index);
  }
  if (RELU) {
    value = rectified(value);
  }
  let channel = vec4u(column) + vec4u(0u, 1u, 2u, 3u);
  write_y(index, select(vec4f(0.0), value, channel < vec4u(params.columns)));
}

fn store_block(row: u32, column: u32, split: u32, c: mat4x4f) {
  if (column >= params.columns) {
    return;
  }
  let epilogue = epilogue_at(column / 4u);
  store_row(row, column, epilogue, c[0]);
  store_row(row + 1u, column, epilogue, c[1]);
  store_row(row + 2u, column, epilogue, c[2]);
  store_row(row + 3u, column, epilogue, c[3]);
}
