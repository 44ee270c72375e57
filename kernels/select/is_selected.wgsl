// Tells which of four weights the radix select chose: those with a key below state.key, and those with an equal key
// whose index among all weights is at most state.index. Scores below zero do not belong to weights.
//
// This file is part of kernels. Their Params have offset, the first quad that they read in their arenas, and
// ordinal, the index of that quad among all weights, in whichever windows those lie.

struct State {
  remaining: u32,
  key: u32,
  index: u32,
  settled: u32,
}

// include select/rank_keys

fn are_selected(score: vec4f, keep: vec4f, quad: u32) -> vec4<bool> {
  let key = rank_keys(score, keep);
  let index = vec4u(4u * (quad - params.offset + params.ordinal)) + vec4u(0u, 1u, 2u, 3u);
  let goes = (key < vec4u(state.key)) | ((key == vec4u(state.key)) & (index <= vec4u(state.index)));
  return goes & !(score < vec4f(0.0));
}
