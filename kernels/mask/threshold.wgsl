// Mask from the k-th smallest key that the radix select found: a weight is removed (mask 0) where its key is below
// state.key, or equal with its place at or below state.index; otherwise its mask stays, so that a removed weight does
// not come back where fewer are asked to go than are removed. Where no weight is asked to go (params.remove 0), none
// goes. Scores below zero are not weights: their mask stays.
// scores, mask (quads). One invocation decides one quad.

struct Params {
  quads: u32,
  remove: u32,
}

struct State {
  remaining: u32,
  key: u32,
  index: u32,
  settled: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read> state: State;
@group(0) @binding(3) var<storage, read_write> mask: array<vec4f>;

// The rank of a weight as an unsigned integer: removed ones first, then by the bits of the score, which rise with it.
// The sign is left out, since -0 is not below zero.
fn rank_key(score: f32, keep: f32) -> u32 {
  return select(0u, (bitcast<u32>(score) & 0x7fffffffu) + 1u, keep > 0.0);
}

fn decide(score: f32, keep: f32, place: u32) -> f32 {
  let key = rank_key(score, keep);
  let goes = key < state.key || (key == state.key && place <= state.index);
  return select(keep, 0.0, goes && !(score < 0.0));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.quads) {
    return;
  }
  if (params.remove == 0u) {
    return;
  }
  let score = read_scores(i);
  let keep = read_mask(i);
  write_mask(i, vec4f(
    decide(score.x, keep.x, 4u * i),
    decide(score.y, keep.y, 4u * i + 1u),
    decide(score.z, keep.z, 4u * i + 2u),
    decide(score.w, keep.w, 4u * i + 3u),
  ));
}
