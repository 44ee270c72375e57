// The ranks of four weights as unsigned integers: removed ones first, then by the bits of the scores, which rise with
// them. The sign is left out, since -0 is not below zero.

fn rank_keys(score: vec4f, keep: vec4f) -> vec4u {
  let rank = (bitcast<vec4u>(score) & vec4u(0x7fffffffu)) + vec4u(1u);
  return select(vec4u(0u), rank, keep > vec4f(0.0));
}
