// Computes the confidence of a signal to noise z: confidence = erf(z / sqrt 2), the probability of the right sign
// less that of the wrong one. Scores below zero (padding) stay as they are.
//
// Shapes: scores and confidence (quads). One invocation computes one quad. Dispatched by
// src/prune/score/confidence.ts.

// include dispatch

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> confidence: array<vec4f>;

// include math/erf

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let z = read_scores(i);
  write_confidence(i, select(erf(z * 0.7071067811865476), z, z < vec4f(0.0)));
}
