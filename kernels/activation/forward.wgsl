// Computes the forward pass of an activation: y = activate(x), elementwise. An operation of this folder gives
// Params and
//
//   activate(x)   the function, which is 0 at 0, so that padding stays zero (else activation/forward_padded)
//   slope(x)      its derivative
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
  write_y(i, activate(read_x(i)));
}
