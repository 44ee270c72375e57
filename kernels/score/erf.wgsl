// Confidence of a signal to noise: confidence = erf(z / sqrt 2), the probability of the right sign less that of the
// wrong one. scores and confidence: quads; scores below zero (padding) stay as they are.
// One invocation computes one quad.

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> confidence: array<vec4f>;

// include score/error_function

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.quads) {
    return;
  }
  let z = read_scores(i);
  write_confidence(i, select(erf(z * 0.7071067811865476), z, z < vec4f(0.0)));
}
