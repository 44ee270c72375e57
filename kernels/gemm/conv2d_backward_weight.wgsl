// Operation: the gradient of a convolution's weight, as an implicit matrix product over the output pixels.
//
//   dw[o, ky, kx, i] = sum over n, oy, ox of dy[n, oy, ox, o] x[n, oy s + ky d - p, ox s + kx d - p, i]
//
// The product is split over images and lines, so that few weights still fill the device; reduce/splits.wgsl adds
// the splits in a fixed order. Stride s, padding p and dilation d are given for each side.
// Product: rows are output channels o, columns (ky, kx, i) with i padded to quads, segments lines (n, oy) of dy,
// inner groups of four pixels of a line.
// Shapes: sums (splits, O, KH, KW, I/4) in quads from params.offset. With one split, sums is the gradient arena
// itself. Dispatched by src/model/convolution.ts.
// Source: Chetlur et al. 2014, arXiv 1410.0759.

struct Params {
  rows: u32,
  columns: u32,
  segments: u32,
  inner: u32,
  segments_per_split: u32,
  in_height: u32,
  in_width: u32,
  in_quads: u32,
  out_height: u32,
  out_width: u32,
  kernel_width: u32,
  stride_y: u32,
  stride_x: u32,
  padding_y: u32,
  padding_x: u32,
  dilation_y: u32,
  dilation_x: u32,
  offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4f>;

// Four output channels: the quad that holds them.
struct Rows {
  quad: u32,
}

// Four input channels of one tap: their quad, and the tap's distance from the window's start less the padding.
struct Columns {
  quad: u32,
  tap_y: i32,
  tap_x: i32,
}

// One line of dy: the quad of its first pixel's four channels.
struct RowSegment {
  start: u32,
}

// One line of x under a tap: the quad of its pixel 0 (that of the clamped line where it is outside).
struct ColumnSegment {
  start: u32,
  tap_x: i32,
  inside: bool,
}

fn out_quads() -> u32 {
  return (params.rows + 3u) / 4u;
}

fn rows_at(row: u32) -> Rows {
  return Rows(min(row / 4u, out_quads() - 1u));
}

fn columns_at(column: u32) -> Columns {
  let flat = min(column, params.columns - 1u) / 4u;
  let tap = flat / params.in_quads;
  let tap_y = tap / params.kernel_width;
  let tap_x = tap - tap_y * params.kernel_width;
  return Columns(
    flat - tap * params.in_quads,
    i32(tap_y * params.dilation_y) - i32(params.padding_y),
    i32(tap_x * params.dilation_x) - i32(params.padding_x),
  );
}

fn row_segment(rows: Rows, segment: u32) -> RowSegment {
  return RowSegment(segment * params.out_width * out_quads() + rows.quad);
}

fn column_segment(columns: Columns, segment: u32) -> ColumnSegment {
  let image = segment / params.out_height;
  let line = i32((segment - image * params.out_height) * params.stride_y) + columns.tap_y;
  let inside = line >= 0 && line < i32(params.in_height);
  let clamped = u32(clamp(line, 0, i32(params.in_height) - 1));
  let start = (image * params.in_height + clamped) * params.in_width * params.in_quads + columns.quad;
  return ColumnSegment(start, columns.tap_x, inside);
}

fn read_gradient(segment: RowSegment, pixel: u32) -> vec4f {
  let clamped = min(pixel, params.out_width - 1u);
  return select(vec4f(0.0), read_dy(segment.start + clamped * out_quads()), pixel < params.out_width);
}

fn load_a(segment: RowSegment, k: u32) -> mat4x4f {
  return transpose(mat4x4f(
    read_gradient(segment, 4u * k),
    read_gradient(segment, 4u * k + 1u),
    read_gradient(segment, 4u * k + 2u),
    read_gradient(segment, 4u * k + 3u),
  ));
}

fn read_input(segment: ColumnSegment, pixel: u32) -> vec4f {
  let in_x = i32(pixel * params.stride_x) + segment.tap_x;
  let inside = segment.inside && in_x >= 0 && in_x < i32(params.in_width);
  let clamped = u32(clamp(in_x, 0, i32(params.in_width) - 1));
  return select(vec4f(0.0), read_x(segment.start + clamped * params.in_quads), inside);
}

fn load_b(segment: ColumnSegment, k: u32) -> mat4x4f {
  return mat4x4f(
    read_input(segment, 4u * k),
    read_input(segment, 4u * k + 1u),
    read_input(segment, 4u * k + 2u),
    read_input(segment, 4u * k + 3u),
  );
}

fn store(row: u32, column: u32, split: u32, sum: vec4f) {
  if (row >= params.rows || column >= params.columns) {
    return;
  }
  let index = (split * params.rows + row) * (params.columns / 4u) + column / 4u;
  write_sums(params.offset + index, sum);
}

fn store_block(row: u32, column: u32, split: u32, c: mat4x4f) {
  store(row, column, split, c[0]);
  store(row + 1u, column, split, c[1]);
  store(row + 2u, column, split, c[2]);
  store(row + 3u, column, split, c[3]);
}
