// Computes the forward pass of a ReLU: y = max(x, 0), elementwise.
//
// Shapes: x and y (quads). One invocation computes one quad. Dispatched by src/model/layers/relu.ts.

// include dispatch
// include math/maximum

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  write_y(i, rectified(read_x(i)));
}
