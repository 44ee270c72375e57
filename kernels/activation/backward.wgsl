// Computes the backward pass of an activation: dx = dy * slope(x), elementwise. The slope is that of an operation
// of this folder (activation/forward.wgsl).
//
// Shapes: x, dy and dx (quads). One invocation computes one quad. Dispatched by src/model/activation.ts.

// include dispatch

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  write_dx(i, read_dy(i) * slope(read_x(i)));
}
