// Operation: a convolution, ReLU and max pooling 2 x 2 in one pass, as an implicit matrix product. Only the pooled
// values and their argmax leave the registers.
//
//   y[n, py, px, o] = max(0, max over the window's 4 pixels of bias[o] + conv(x)[n, 2 py + dy, 2 px + dx, o])
//   argmax = 2 dy + dx of the first maximum in line order; -1 if the maximum is not above 0    (with ARGMAX)
//
// Windows start at even pixels. The rest at the edges is not computed. The results are those of
// gemm/conv2d_forward.wgsl and layer/maxpool2d_forward.wgsl, up to the order of the sum.
// Product: rows are the pixels of the windows, the four of a window after each other, columns output channels,
// segments lines ky of the filter, inner the quads (kx, i) of a filter's line, which lie after each other in x too.
// Shapes: x (N, H, W, I/4); y and argmax (N, PH, PW, O/4); weight (O, KH, KW, I/4) at params.weight of the value
// arena, with bias (O/4) at params.bias. All are in quads. Dispatched by src/model/pooled_convolution.ts.

// include math/maximum

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
  weight: u32,
  bias: u32,
}

override HAS_BIAS: bool = true;
override ARGMAX: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> values: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> argmax: array<vec4f>;

// The four pixels of a window: the quad of their first tap, which may lie outside; the quads low .. low + count - 1 of a
// filter's line that lie inside the image's width; and the line of the image under the filter's first line.
struct Rows {
  start: vec4i,
  low: vec4u,
  count: vec4u,
  top: vec4i,
}

// Four output channels: the quads at which their filters start.
struct Columns {
  filters: vec4u,
}

// The same under one line of the filter: count is zero where the line lies outside.
struct RowSegment {
  start: vec4i,
  low: vec4u,
  count: vec4u,
}

fn rows_at(row: u32) -> Rows {
  let window = min(row, params.rows - 1u) / 4u;
  let line = window / params.pooled_width;
  let image = line / params.pooled_height;
  let out_y = vec4u(2u * (line - image * params.pooled_height)) + vec4u(0u, 0u, 1u, 1u);
  let out_x = vec4u(2u * (window - line * params.pooled_width)) + vec4u(0u, 1u, 0u, 1u);
  let top = vec4i(out_y * params.stride) - vec4i(i32(params.padding));
  let left = vec4i(out_x * params.stride) - vec4i(i32(params.padding));
  let width = i32(params.in_width);
  let quads = i32(params.in_quads);
  let low = max(vec4i(0), -left);
  let high = min(vec4i(width) - left, vec4i(i32(params.kernel_width)));
  let start = vec4i(i32(image * params.in_height) * width) + top * width + left;
  return Rows(start * quads, vec4u(low * quads), vec4u(max(high - low, vec4i(0)) * quads), top);
}

fn columns_at(column: u32) -> Columns {
  let out_channel = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(params.columns - 1u));
  return Columns(vec4u(params.weight) + out_channel * (params.segments * params.inner));
}

// A line above the image wraps around to a number above any height.
fn row_segment(rows: Rows, segment: u32) -> RowSegment {
  let inside = vec4u(rows.top + vec4i(i32(segment))) < vec4u(params.in_height);
  let start = rows.start + vec4i(i32(segment * params.in_width * params.in_quads));
  return RowSegment(start, rows.low, select(vec4u(0u), rows.count, inside));
}

fn column_segment(columns: Columns, segment: u32) -> vec4u {
  return columns.filters + vec4u(segment * params.inner);
}

// Below low the difference wraps around to a number above any count.
fn read_tap(start: i32, k: u32, inside: bool) -> vec4f {
  return select(vec4f(0.0), read_x(select(0u, u32(start + i32(k)), inside)), inside);
}

fn load_a(segment: RowSegment, k: u32) -> mat4x4f {
  let inside = (vec4u(k) - segment.low) < segment.count;
  return mat4x4f(
    read_tap(segment.start.x, k, inside.x),
    read_tap(segment.start.y, k, inside.y),
    read_tap(segment.start.z, k, inside.z),
    read_tap(segment.start.w, k, inside.w),
  );
}

fn load_b(columns: vec4u, k: u32) -> mat4x4f {
  return transpose(mat4x4f(
    read_values(columns.x + k),
    read_values(columns.y + k),
    read_values(columns.z + k),
    read_values(columns.w + k),
  ));
}

// Two windows side by side, as cores for windows take them: the image's line and column under the filter's first tap of
// the left one, and the quad of that pixel, which may lie outside.
struct Pair {
  top: i32,
  left: i32,
  start: i32,
}

// The two image lines that a line of the filter meets in the pair's upper and lower pixels.
struct PairLine {
  left: i32,
  start: vec2i,
  inside: vec2<bool>,
}

fn pair_at(row: u32) -> Pair {
  let window = min(row, params.rows - 8u) / 4u;
  let line = window / params.pooled_width;
  let image = line / params.pooled_height;
  let top = i32(2u * (line - image * params.pooled_height)) - i32(params.padding);
  let left = i32(2u * (window - line * params.pooled_width)) - i32(params.padding);
  let width = i32(params.in_width);
  let start = (i32(image * params.in_height) + top) * width + left;
  return Pair(top, left, start * i32(params.in_quads));
}

fn pair_line(pair: Pair, segment: u32) -> PairLine {
  let lines = vec2i(i32(segment)) + vec2i(0, 1);
  let inside = vec2u(vec2i(pair.top) + lines) < vec2u(params.in_height);
  return PairLine(pair.left, vec2i(pair.start) + lines * i32(params.in_width * params.in_quads), inside);
}

fn load_column(line: PairLine, column: u32, quad: u32) -> mat2x4f {
  let inside = line.inside & vec2<bool>(u32(line.left + i32(column)) < params.in_width);
  let index = vec2u(line.start + vec2i(i32(column * params.in_quads + quad)));
  let clamped = select(vec2u(0u), index, inside);
  return mat2x4f(
    select(vec4f(0.0), read_x(clamped.x), inside.x),
    select(vec4f(0.0), read_x(clamped.y), inside.y),
  );
}

// The four rows are the pixels of one window.
fn store_block(row: u32, column: u32, split: u32, c: mat4x4f) {
  if (row >= params.rows || column >= params.columns) {
    return;
  }
  var bias = vec4f(0.0);
  if (HAS_BIAS) {
    bias = read_values(params.bias + column / 4u);
  }
  let right = c[1] + bias;
  let below = c[2] + bias;
  let across = c[3] + bias;
  var largest = c[0] + bias;
  var winner = select(vec4f(0.0), vec4f(1.0), right > largest);
  largest = larger(largest, right);
  winner = select(winner, vec4f(2.0), below > largest);
  largest = larger(largest, below);
  winner = select(winner, vec4f(3.0), across > largest);
  largest = larger(largest, across);
  let channel = vec4u(column) + vec4u(0u, 1u, 2u, 3u);
  let is_open = ((largest > vec4f(0.0)) | is_nan(largest)) & (channel < vec4u(params.columns));
  let index = (row / 4u) * ((params.columns + 3u) / 4u) + column / 4u;
  write_y(index, select(vec4f(0.0), largest, is_open));
  if (ARGMAX) {
    write_argmax(index, select(vec4f(-1.0), winner, is_open));
  }
}
