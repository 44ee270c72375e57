// Operation: the gradient of a convolution's input, as an implicit matrix product.
//
//   dx[n, iy, ix, i] = sum over ky, kx, o of dy[n, (iy + p - ky d) / s, (ix + p - kx d) / s, o] w[o, ky, kx, i]
//
// The sum is over the taps whose divisions are exact and fall inside dy. Stride s, padding p and dilation d are
// given for each side. With HAS_ADDEND, addend is added to the result: the gradient from another reader of the
// input. With GATED the result is then zero where gate <= 0: the backward pass of a ReLU with output gate.
// Product: rows are input pixels (n, iy, ix), columns input channels i, segments taps, inner the quads of o.
// Shapes: dy (N, OH, OW, O/4); dx, gate and addend (N, H, W, I/4); weight (O, KH, KW, I/4); all in quads.
// Dispatched by src/model/convolution.ts.
// Source: Dumoulin and Visin 2016, arXiv 1603.07285, section 4.

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
  out_channels: u32,
  kernel_width: u32,
  stride_y: u32,
  stride_x: u32,
  padding_y: u32,
  padding_x: u32,
  dilation_y: u32,
  dilation_x: u32,
  weight: u32,
}

override HAS_ADDEND: bool = false;
override GATED: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> values: array<vec4f>;
@group(0) @binding(3) var<storage, read> gate: array<vec4f>;
@group(0) @binding(4) var<storage, read> addend: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dx: array<vec4f>;

// Four input pixels, shifted by the padding, and the first output pixel of their images.
struct Rows {
  image: vec4i,
  shifted_y: vec4i,
  shifted_x: vec4i,
}

// Four input channels: the quad that holds them in the first filter's first tap.
struct Columns {
  quad: u32,
}

fn rows_at(row: u32) -> Rows {
  let pixel = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u));
  let area = params.in_height * params.in_width;
  let image = pixel / area;
  let rest = pixel - image * area;
  let in_y = rest / params.in_width;
  let in_x = rest - in_y * params.in_width;
  return Rows(
    vec4i(image * (params.out_height * params.out_width)),
    vec4i(in_y + vec4u(params.padding_y)),
    vec4i(in_x + vec4u(params.padding_x)),
  );
}

fn channel_quads() -> u32 {
  return (params.columns + 3u) / 4u;
}

fn columns_at(column: u32) -> Columns {
  return Columns(params.weight + min(column / 4u, channel_quads() - 1u));
}

// Quotients of whole numbers from 0 to 2^20, far above any image's side: half a step keeps the rounding of the
// division from reaching a whole number. llvmpipe divides floats eight at a time, integers one by one. Below 0 the
// result is of no use.
fn quotient(numerator: vec4i, denominator: u32) -> vec4i {
  return vec4i((vec4f(numerator) + 0.5) / f32(denominator));
}

fn row_segment(rows: Rows, segment: u32) -> vec4i {
  let tap_y = segment / params.kernel_width;
  let tap_x = segment - tap_y * params.kernel_width;
  let scaled_y = rows.shifted_y - vec4i(i32(tap_y * params.dilation_y));
  let scaled_x = rows.shifted_x - vec4i(i32(tap_x * params.dilation_x));
  let out_y = quotient(scaled_y, params.stride_y);
  let out_x = quotient(scaled_x, params.stride_x);
  let exact = (out_y * i32(params.stride_y) == scaled_y) & (out_x * i32(params.stride_x) == scaled_x);
  let height = vec4i(i32(params.out_height));
  let width = vec4i(i32(params.out_width));
  let inside = (scaled_y >= vec4i(0)) & (out_y < height) & (scaled_x >= vec4i(0)) & (out_x < width);
  let start = (rows.image + out_y * width + out_x) * i32(params.inner);
  return select(vec4i(-1), start, exact & inside);
}

fn column_segment(columns: Columns, segment: u32) -> vec4u {
  return vec4u(columns.quad + segment * channel_quads());
}

fn read_pixel(start: i32, k: u32) -> vec4f {
  return select(vec4f(0.0), read_dy(u32(max(start, 0)) + k), start >= 0);
}

fn load_a(rows: vec4i, k: u32) -> mat4x4f {
  return mat4x4f(
    read_pixel(rows.x, k),
    read_pixel(rows.y, k),
    read_pixel(rows.z, k),
    read_pixel(rows.w, k),
  );
}

// Past the last filter dy is zero, so any finite weight serves: the last one is read again.
fn load_b(columns: vec4u, k: u32) -> mat4x4f {
  let out_channel = min(vec4u(4u * k) + vec4u(0u, 1u, 2u, 3u), vec4u(params.out_channels - 1u));
  let quad = columns + out_channel * (params.segments * channel_quads());
  return mat4x4f(read_values(quad.x), read_values(quad.y), read_values(quad.z), read_values(quad.w));
}

fn store(row: u32, column: u32, split: u32, sum: vec4f) {
  if (row >= params.rows || column >= params.columns) {
    return;
  }
  let index = row * channel_quads() + column / 4u;
  var value = sum;
  if (HAS_ADDEND) {
    value += read_addend(index);
  }
  if (GATED) {
    value = select(vec4f(0.0), value, read_gate(index) > vec4f(0.0));
  }
  write_dx(index, value);
}

fn store_block(row: u32, column: u32, split: u32, c: mat4x4f) {
  store(row, column, split, c[0]);
  store(row + 1u, column, split, c[1]);
  store(row + 2u, column, split, c[2]);
  store(row + 3u, column, split, c[3]);
}
