// Confidence of a signal to noise: confidence = erf(z / sqrt 2), the probability of the right sign less that of the
// wrong one. scores and confidence: quads; scores below zero (padding) stay as they are.
// erf by its Taylor series below 1 (12 terms, below 1e-7 relative) and by Abramowitz and Stegun 7.1.26 above
// (1.5e-7 absolute). One invocation computes one quad.

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> confidence: array<vec4f>;

fn erf_series(x: vec4f) -> vec4f {
  let square = x * x;
  var term = x;
  var sum = x;
  for (var n = 1u; n < 12u; n++) {
    term *= -square / f32(n);
    sum += term / f32(2u * n + 1u);
  }
  return 1.1283791670955126 * sum;
}

fn erf_tail(x: vec4f) -> vec4f {
  let t = vec4f(1.0) / (vec4f(1.0) + 0.3275911 * x);
  let polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return vec4f(1.0) - polynomial * exp(-x * x);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.quads) {
    return;
  }
  let z = read_scores(i);
  let x = min(z * 0.7071067811865476, vec4f(6.0));
  let erf = select(erf_tail(x), erf_series(x), x < vec4f(1.0));
  write_confidence(i, select(erf, z, z < vec4f(0.0)));
}
