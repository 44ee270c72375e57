// Computes the forward pass of an activation that is not 0 at 0, and keeps padding zero: y = activate(x), elementwise.
// An operation of this folder gives the functions (activation/forward.wgsl). Its Params also have
//
//   channel_quads   quads of a pixel and tap
//   last_lanes      channels in the last of them, 1 to 4
//
// Shapes: x and y (quads). One invocation computes one quad. Dispatched by src/model/activation.ts.

// include dispatch

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let is_last = i % params.channel_quads == params.channel_quads - 1u;
  let lanes = select(4u, params.last_lanes, is_last);
  write_y(i, select(vec4f(0.0), activate(read_x(i)), vec4u(0u, 1u, 2u, 3u) < vec4u(lanes)));
}
