// Computes the backward pass of the subsampling shortcut:
//
//   dx[n, iy, ix, c] = dy[n, iy / s, ix / s, c + before] if s divides iy and ix, else 0
//
// Shapes: dy (N, OH, OW, out_quads), which has all channels of dx; dx (N, H, W, in_quads); channels are those of
// dx, out_channels those of dy; quads_total is the number of quads of dx. One invocation computes one quad of dx.
// It reads one quad of dy if before is a multiple of four, else two. Dispatched by src/model/layers/subsample.ts.

// include dispatch

struct Params {
  quads_total: u32,
  channels: u32,
  out_channels: u32,
  in_height: u32,
  in_width: u32,
  out_height: u32,
  out_width: u32,
  stride: u32,
  before: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

// include layer/shift_lanes

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads_total) {
    return;
  }
  let in_quads = (params.channels + 3u) / 4u;
  let out_quads = (params.out_channels + 3u) / 4u;
  let in_pixel = i / in_quads;
  let channel = 4u * (i - in_pixel * in_quads);
  let line = in_pixel / params.in_width;
  let image = line / params.in_height;
  let in_y = line - image * params.in_height;
  let in_x = in_pixel - line * params.in_width;
  let out_y = in_y / params.stride;
  let out_x = in_x / params.stride;
  if (out_y * params.stride != in_y || out_x * params.stride != in_x) {
    write_dx(i, vec4f(0.0));
    return;
  }
  let pixel = (image * params.out_height + out_y) * params.out_width + out_x;
  let from_quad = (channel + params.before) / 4u;
  let r = params.before % 4u;
  let low = read_dy(pixel * out_quads + from_quad);
  var high = vec4f(0.0);
  if (r != 0u && from_quad + 1u < out_quads) {
    high = read_dy(pixel * out_quads + from_quad + 1u);
  }
  let is_channel = vec4u(channel) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.channels);
  write_dx(i, select(vec4f(0.0), shift_lanes(low, high, r), is_channel));
}
