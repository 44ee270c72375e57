// Adds all numbers of some quads: out[offset] = (sum of x, 0, 0, 0). The lanes are added in f32 one by one over the quads,
// then together.
//
// Shapes: x (quads); out, an arena. One invocation computes the sum. Dispatched by src/model/layers/prelu.ts.

struct Params {
  quads: u32,
  offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(1)
fn main() {
  var sum = vec4f(0.0);
  for (var i = 0u; i < params.quads; i++) {
    sum += read_x(i);
  }
  write_out(params.offset, vec4f(sum.x + sum.y + sum.z + sum.w, 0.0, 0.0, 0.0));
}
