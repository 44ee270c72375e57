// Operation: the gradient of the input of a convolution with stride 1, as an implicit matrix product.
//
//   dx[n, iy, ix, i] = sum over ky, kx, o of dy[n, iy + p - ky d, ix + p - kx d, o] w[o, ky, kx, i]
//
// The sum is over the taps that fall inside dy. Padding p and dilation d are given for each side. With HAS_ADDEND,
// addend is added to the result: the gradient from another reader of the input. With GATED the result is then zero
// where gate <= 0: the backward pass of a ReLU with output gate.
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
  // Both 1; the core is chosen by them.
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

// include gemm/input_gradient

// Four input pixels, shifted by the padding, and the first output pixel of their images.
struct Rows {
  image: vec4i,
  shifted_y: vec4i,
  shifted_x: vec4i,
}

fn filter_taps() -> u32 {
  return params.segments;
}

fn pixel_of(row: u32) -> u32 {
  return row;
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

fn row_segment(rows: Rows, segment: u32) -> vec4i {
  let tap_y = segment / params.kernel_width;
  let tap_x = segment - tap_y * params.kernel_width;
  let out_y = rows.shifted_y - vec4i(i32(tap_y * params.dilation_y));
  let out_x = rows.shifted_x - vec4i(i32(tap_x * params.dilation_x));
  let height = vec4i(i32(params.out_height));
  let width = vec4i(i32(params.out_width));
  let inside = (out_y >= vec4i(0)) & (out_y < height) & (out_x >= vec4i(0)) & (out_x < width);
  let start = (rows.image + out_y * width + out_x) * i32(params.inner);
  return select(vec4i(-1), start, inside);
}

fn column_segment(columns: Columns, segment: u32) -> vec4u {
  return vec4u(columns.quad + segment * channel_quads());
}
