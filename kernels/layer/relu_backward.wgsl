// ReLU, backward: dx = dy where y > 0, else 0, elementwise; y is the ReLU's output.
// y, dy, dx (quads). One invocation computes one quad.

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.quads) {
    return;
  }
  write_dx(i, select(vec4f(0.0), read_dy(i), read_y(i) > vec4f(0.0)));
}
