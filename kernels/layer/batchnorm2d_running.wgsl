// Batch normalisation, running statistics after a training pass, as in PyTorch:
//
//   running = (1 - momentum) * running + momentum * batch      (the batch's variance times rows / (rows - 1))
//
// batch (quads), running: quads from params.offset of the statistics arena. One invocation computes one quad.

struct Params {
  quads: u32,
  offset: u32,
  momentum: f32,
  correction: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> batch: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> running: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.quads) {
    return;
  }
  let old = read_running(params.offset + i);
  let new_value = read_batch(i) * params.correction;
  write_running(params.offset + i, (1.0 - params.momentum) * old + params.momentum * new_value);
}
