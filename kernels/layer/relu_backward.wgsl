// Computes the backward pass of a ReLU: dx = dy if y > 0, else 0, elementwise, where y is the ReLU's output.
//
// Shapes: y, dy and dx (quads). One invocation computes one quad. Dispatched by src/model/layers/relu.ts.

// include dispatch

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  write_dx(i, select(vec4f(0.0), read_dy(i), read_y(i) > vec4f(0.0)));
}
