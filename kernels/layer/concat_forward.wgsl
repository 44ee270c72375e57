// Joins inputs along the channels, one input per dispatch: y[pixel, offset + c] = x[pixel, c] for each channel c of
// x.
//
// The inputs are written in order. The first quad of an input may hold the last channels of the input before it,
// which stay. Lanes behind its last channel become zero until the next input fills them.
// Shapes: x (pixels, x_quads); y (pixels, y_quads). The span is the number of quads of a pixel of y that the input
// reaches, from quad offset / 4 on; items = pixels * span. One invocation computes one quad of y. Dispatched by
// src/model/layers/concat.ts.

// include dispatch

struct Params {
  items: u32,
  x_quads: u32,
  y_quads: u32,
  offset: u32,
  span: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

// include layer/shift_lanes

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.items) {
    return;
  }
  let pixel = i / params.span;
  let quad = i - pixel * params.span;
  let to = pixel * params.y_quads + params.offset / 4u + quad;
  let r = params.offset % 4u;
  var high = vec4f(0.0);
  if (quad < params.x_quads) {
    high = read_x(pixel * params.x_quads + quad);
  }
  if (r == 0u) {
    write_y(to, high);
    return;
  }
  // Channel 4 quad - r of x comes first.
  if (quad == 0u) {
    let is_earlier = vec4u(0u, 1u, 2u, 3u) < vec4u(r);
    write_y(to, select(shift_lanes(vec4f(0.0), high, 4u - r), read_y(to), is_earlier));
    return;
  }
  write_y(to, shift_lanes(read_x(pixel * params.x_quads + quad - 1u), high, 4u - r));
}
