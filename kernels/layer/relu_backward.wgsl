// ReLU, backward: dx = dy where y > 0, else 0, elementwise; y is the ReLU's output.
// y, dy, dx (quads). One invocation computes one quad.

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
