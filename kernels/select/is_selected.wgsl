// Which of four weights go by what the radix select found: those whose key is below state.key, or equal with their index
// among all weights at or below state.index. Scores below zero are not weights.
//
// A kernel gives Params with offset, the first quad of what it looks at in its arenas, and ordinal, the index of that quad
// among all weights, wherever their windows lie.

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
