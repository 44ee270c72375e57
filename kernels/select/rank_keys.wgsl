// Turns the scores of four weights into unsigned integers by which they are ranked: first removed weights, then the
// bits of the scores, which rise with the scores. The sign bit is left out, because -0 is not below zero. This file
// is part of kernels.

fn rank_keys(score: vec4f, keep: vec4f) -> vec4u {
  let rank = (bitcast<vec4u>(score) & vec4u(0x7fffffffu)) + vec4u(1u);
  return select(vec4u(0u), rank, keep > vec4f(0.0));
}
