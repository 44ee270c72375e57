// Adds all numbers of some quads: out[offset] = (sum of x, 0, 0, 0). The lanes are added in f32 over the quads, then
// together.
//
// Shapes: x (quads); out, an arena. One workgroup runs: each invocation adds every 64th quad in order, and
// reduce/add_lanes.wgsl adds these sums. Dispatched by src/model/layers/prelu.ts.

// include reduce/add_lanes

struct Params {
  quads: u32,
  offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = vec4f(0.0);
  for (var i = lane; i < params.quads; i += 64u) {
    sum += read_x(i);
  }
  let total = add_lanes(sum, lane, 1u, 64u);
  if (lane == 0u) {
    write_out(params.offset, vec4f(total.x + total.y + total.z + total.w, 0.0, 0.0, 0.0));
  }
}
