// The adapter's copying speed as kernels see it: copy[i] = source[i], read and written on the read path of the run.
// source, copy (quads). One invocation copies one quad.

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> copy: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.quads) {
    return;
  }
  write_copy(i, read_source(i));
}
