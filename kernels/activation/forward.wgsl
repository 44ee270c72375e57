// Activation, forward: y = activate(x), elementwise, by an operation of this folder, which gives Params and
//
//   activate(x)   the function, 0 at 0, so that padding stays zero
//   slope(x)      its derivative
//
// x, y (quads). One invocation computes one quad.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.quads) {
    return;
  }
  write_y(i, activate(read_x(i)));
}
