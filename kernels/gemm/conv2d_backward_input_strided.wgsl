// Operation: the gradient of the input of a convolution with strides, as implicit matrix products.
//
//   dx[n, iy, ix, i] = sum over ky, kx, o of dy[n, (iy + p - ky d) / s, (ix + p - kx d) / s, o] w[o, ky, kx, i]
//
// The sum is over the taps whose divisions are exact and fall inside dy. Stride s, padding p and dilation d are given
// for each side. Input pixels that lie s apart meet the same taps. One product computes one such class of pixels, those at
// first + s i along each side, with its taps, those at tap + tap_step j. With HAS_ADDEND, addend is added to the
// result: the gradient from another reader of the input. With GATED the result is then zero where gate <= 0: the
// backward pass of a ReLU with output gate.
// Product: rows are the class's input pixels (n, iy, ix), columns input channels i, segments its taps, which may be
// none, inner the quads of o.
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
  kernel_height: u32,
  kernel_width: u32,
  stride_y: u32,
  stride_x: u32,
  padding_y: u32,
  padding_x: u32,
  dilation_y: u32,
  dilation_x: u32,
  first_y: u32,
  first_x: u32,
  tap_y: u32,
  tap_x: u32,
  tap_step_y: u32,
  tap_step_x: u32,
  taps_x: u32,
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

// include gemm/input_gradient

// Four input pixels, shifted by the padding, and the first output pixel of their images.
struct Rows {
  image: vec4i,
  shifted_y: vec4i,
  shifted_x: vec4i,
}

// An input pixel: its image, line and column.
struct Pixel {
  image: u32,
  y: u32,
  x: u32,
}

fn filter_taps() -> u32 {
  return params.kernel_height * params.kernel_width;
}

// The quotient of whole numbers, which may be 2^31: that of floats is off by one at most where the quotient is below
// 2^22. llvmpipe divides floats eight at a time, integers one by one.
fn quotient(numerator: u32, denominator: u32) -> u32 {
  let near = u32(f32(numerator) / f32(denominator));
  let rest = i32(numerator) - i32(near * denominator);
  return near + u32(rest >= i32(denominator)) - u32(rest < 0);
}

// The pixel of a row.
fn locate(row: u32) -> Pixel {
  let height = (params.in_height - params.first_y + params.stride_y - 1u) / params.stride_y;
  let width = (params.in_width - params.first_x + params.stride_x - 1u) / params.stride_x;
  let line = quotient(row, width);
  let image = quotient(line, height);
  return Pixel(
    image,
    params.first_y + (line - image * height) * params.stride_y,
    params.first_x + (row - line * width) * params.stride_x,
  );
}

fn pixel_of(row: u32) -> u32 {
  let pixel = locate(row);
  return (pixel.image * params.in_height + pixel.y) * params.in_width + pixel.x;
}

fn rows_at(row: u32) -> Rows {
  let last = params.rows - 1u;
  let p_0 = locate(min(row, last));
  let p_1 = locate(min(row + 1u, last));
  let p_2 = locate(min(row + 2u, last));
  let p_3 = locate(min(row + 3u, last));
  let area = params.out_height * params.out_width;
  return Rows(
    vec4i(vec4u(p_0.image, p_1.image, p_2.image, p_3.image) * area),
    vec4i(vec4u(p_0.y, p_1.y, p_2.y, p_3.y) + vec4u(params.padding_y)),
    vec4i(vec4u(p_0.x, p_1.x, p_2.x, p_3.x) + vec4u(params.padding_x)),
  );
}

// Line and column of a segment's tap in the filter.
fn tap_of(segment: u32) -> vec2u {
  let y = segment / params.taps_x;
  return vec2u(params.tap_y + y * params.tap_step_y, params.tap_x + (segment - y * params.taps_x) * params.tap_step_x);
}

// Divisions are exact for the taps of the class. Below 0 the result is of no use.
fn exact_quotient(numerator: vec4i, denominator: u32) -> vec4i {
  return vec4i((vec4f(numerator) + 0.5) / f32(denominator));
}

fn row_segment(rows: Rows, segment: u32) -> vec4i {
  let tap = tap_of(segment);
  let scaled_y = rows.shifted_y - vec4i(i32(tap.x * params.dilation_y));
  let scaled_x = rows.shifted_x - vec4i(i32(tap.y * params.dilation_x));
  let out_y = exact_quotient(scaled_y, params.stride_y);
  let out_x = exact_quotient(scaled_x, params.stride_x);
  let height = vec4i(i32(params.out_height));
  let width = vec4i(i32(params.out_width));
  let inside = (scaled_y >= vec4i(0)) & (out_y < height) & (scaled_x >= vec4i(0)) & (out_x < width);
  let start = (rows.image + out_y * width + out_x) * i32(params.inner);
  return select(vec4i(-1), start, inside);
}

fn column_segment(columns: Columns, segment: u32) -> vec4u {
  let tap = tap_of(segment);
  return vec4u(columns.quad + (tap.x * params.kernel_width + tap.y) * channel_quads());
}
