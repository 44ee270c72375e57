// Takes every stride-th pixel of a map, and its channels from a shift on:
//
//   y[n, oy, ox, c] = x[n, oy s, ox s, c + shift] if c < channels and x has that channel, else 0
//
// It is the forward pass of the subsampling shortcut (shift <= 0), the backward pass of concat (shift >= 0, stride 1), and
// both passes of a slice of channels (stride 1).
// Shapes: x (N, H, W, in_quads); y (N, OH, OW, out_quads); in_channels and channels are those of x and y;
// quads_total is the number of quads of y. One invocation computes one quad of y. It reads one quad of x if shift
// is a multiple of four, else two. Dispatched by subsample.ts, concat.ts and slice.ts of
// src/model/layers/.

// include dispatch

struct Params {
  quads_total: u32,
  in_channels: u32,
  channels: u32,
  in_height: u32,
  in_width: u32,
  out_height: u32,
  out_width: u32,
  stride: u32,
  shift: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

// include layer/shift_lanes

// A quad of a pixel of x, 0 outside.
fn quad_at(pixel: u32, quad: i32) -> vec4f {
  let quads = (params.in_channels + 3u) / 4u;
  if (quad < 0 || quad >= i32(quads)) {
    return vec4f(0.0);
  }
  return read_x(pixel * quads + u32(quad));
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads_total) {
    return;
  }
  let out_quads = (params.channels + 3u) / 4u;
  let out_pixel = i / out_quads;
  let channel = 4u * (i - out_pixel * out_quads);
  let line = out_pixel / params.out_width;
  let image = line / params.out_height;
  let in_y = (line - image * params.out_height) * params.stride;
  let in_x = (out_pixel - line * params.out_width) * params.stride;
  let pixel = (image * params.in_height + in_y) * params.in_width + in_x;
  // Right shifts and masks of negative numbers round down, unlike division.
  let from_channel = i32(channel) + params.shift;
  let from_quad = from_channel >> 2u;
  let r = u32(from_channel & 3);
  let low = quad_at(pixel, from_quad);
  var high = vec4f(0.0);
  if (r != 0u) {
    high = quad_at(pixel, from_quad + 1);
  }
  let is_channel = vec4u(channel) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.channels);
  write_y(i, select(vec4f(0.0), shift_lanes(low, high, r), is_channel));
}
