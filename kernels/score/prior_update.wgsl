// Computes the prior precision from the sums of score/prior_sums.wgsl, over chunks chunk_offset .. chunk_offset +
// chunks - 1:
//
//   matched:    prior_precision = kept / sum of mean^2
//   EVIDENCE:   prior_precision = effective / sum of mean^2, at least params.floor of the matched one
//
// It is written to params.layers layers from params.layer on. A layer without a kept weight, or of zeros, gets 1. A
// layer whose sums are not finite gets the word NOT_FINITE.
// One workgroup runs. Each invocation adds every 64th chunk in order; a fixed tree adds the 64 sums. Dispatched by
// src/prune/score/confidence.ts.
// Source: MacKay 1992, "Bayesian interpolation", eq. 4.9.

// include math/finite

struct Params {
  chunk_offset: u32,
  chunks: u32,
  layer: u32,
  layers: u32,
  floor: f32,
}

override EVIDENCE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> prior_precision: array<u32>;

var<workgroup> lane_sums: array<vec4f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = vec4f(0.0);
  for (var chunk = lane; chunk < params.chunks; chunk += 64u) {
    sum += read_sums(params.chunk_offset + chunk);
  }
  lane_sums[lane] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (lane < half) {
      lane_sums[lane] += lane_sums[lane + half];
    }
    workgroupBarrier();
  }
  let total = lane_sums[0];
  let is_sound = all_finite(total);
  let usable = total.x > 0.0 && total.z > 0.0;
  let matched = total.z / max(total.x, 1.0e-30);
  var updated = matched;
  if (EVIDENCE) {
    updated = max(total.y / max(total.x, 1.0e-30), params.floor * matched);
  }
  for (var layer = lane; layer < params.layers; layer += 64u) {
    prior_precision[params.layer + layer] = finite_word(select(1.0, updated, usable), is_sound);
  }
}
