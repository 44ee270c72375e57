// Operation: the gradient of the weight of a convolution that a ReLU and max pooling 2 x 2 follow. The gradient g
// of the convolution's output is zero except at the maxima. It is made while it is read.
//
//   dw[o, ky, kx, i] = sum over n, oy, ox of g[n, oy, ox, o] x[n, oy s + ky - p, ox s + kx - p, i]
//   g[n, 2 py + dy, 2 px + dx, o] = dy[n, py, px, o] if argmax[n, py, px, o] = 2 dy + dx, else 0
//
// Product: rows are output channels o, columns (ky, kx, i) with i padded to quads, segments the lines (n, oy) of g
// that a window covers, inner groups of four pixels of a line, which are two windows.
// Shapes: dy and argmax (N, PH, PW, O/4) in quads; sums (splits, O, KH, KW, I/4) in quads from params.offset. With
// one split, sums is the gradient arena itself. Dispatched by src/model/pooled_convolution.ts.
// Source: gemm/conv2d_backward_weight.wgsl and layer/maxpool2d_backward.wgsl.

struct Params {
  rows: u32,
  columns: u32,
  segments: u32,
  inner: u32,
  segments_per_split: u32,
  in_height: u32,
  in_width: u32,
  in_quads: u32,
  pooled_height: u32,
  pooled_width: u32,
  kernel_width: u32,
  stride: u32,
  padding: u32,
  offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> argmax: array<vec4f>;
@group(0) @binding(3) var<storage, read> x: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> sums: array<vec4f>;

// Four output channels: the quad that holds them.
struct Rows {
  quad: u32,
}

// Four input channels of one tap: their quad, and the tap's place in the window less the padding.
struct Columns {
  quad: u32,
  tap_y: i32,
  tap_x: i32,
}

// One line of g: the quad of its first window's four channels, and the place of the line's even pixels.
struct RowSegment {
  start: u32,
  argmax: f32,
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
  let padding = i32(params.padding);
  return Columns(flat - tap * params.in_quads, i32(tap_y) - padding, i32(tap_x) - padding);
}

// Segments are lines of windows' pixels: two a line of windows.
fn row_segment(rows: Rows, segment: u32) -> RowSegment {
  return RowSegment((segment / 2u) * params.pooled_width * out_quads() + rows.quad, f32(2u * (segment % 2u)));
}

fn column_segment(columns: Columns, segment: u32) -> ColumnSegment {
  let lines = 2u * params.pooled_height;
  let image = segment / lines;
  let line = i32((segment - image * lines) * params.stride) + columns.tap_y;
  let inside = line >= 0 && line < i32(params.in_height);
  let clamped = u32(clamp(line, 0, i32(params.in_height) - 1));
  let start = (image * params.in_height + clamped) * params.in_width * params.in_quads + columns.quad;
  return ColumnSegment(start, columns.tap_x, inside);
}

// The gradients of the two pixels that window 2 k + half has on the line.
fn load_window(segment: RowSegment, window: u32) -> mat2x4f {
  let inside = window < params.pooled_width;
  let index = segment.start + min(window, params.pooled_width - 1u) * out_quads();
  let gradient = select(vec4f(0.0), read_dy(index), inside);
  let winner = read_argmax(index);
  return mat2x4f(
    select(vec4f(0.0), gradient, winner == vec4f(segment.argmax)),
    select(vec4f(0.0), gradient, winner == vec4f(segment.argmax + 1.0)),
  );
}

fn load_a(segment: RowSegment, k: u32) -> mat4x4f {
  let left = load_window(segment, 2u * k);
  let right = load_window(segment, 2u * k + 1u);
  return transpose(mat4x4f(left[0], left[1], right[0], right[1]));
}

fn read_input(segment: ColumnSegment, pixel: u32) -> vec4f {
  let in_x = i32(pixel * params.stride) + segment.tap_x;
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
