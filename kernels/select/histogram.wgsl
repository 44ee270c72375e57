// Radix select, first half of a pass: counts a digit of the keys of the weights still in question.
//
// The k-th smallest key is found digit by digit, from the top: of the weights whose higher digits equal those found so
// far, counts[digit] says how many have which next digit; select/pick.wgsl takes the digit in which the k-th lies.
// After the score's digits the same is done on the place (BY_PLACE) of the weights whose key equals the k-th, so that
// of equal scores exactly as many go as are asked, lowest place first. Scores below zero are not weights.
// scores and mask (quads), counts (1 << params.bits). One workgroup counts in workgroup memory (8 KiB) and adds its
// counts once; integer additions, so their order does not matter.
// Source: Alabi et al. 2012, "Fast k-selection algorithms for graphics processing units".

struct Params {
  quads: u32,
  shift: u32,
  bits: u32,
  quads_per_invocation: u32,
}

struct State {
  remaining: u32,
  key: u32,
  index: u32,
  settled: u32,
}

override BY_PLACE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read> state: State;
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;

var<workgroup> digits: array<atomic<u32>, 2048>;

// The rank of a weight as an unsigned integer: removed ones first, then by the bits of the score, which rise with it.
// The sign is left out, since -0 is not below zero.
fn rank_key(score: f32, keep: f32) -> u32 {
  return select(0u, (bitcast<u32>(score) & 0x7fffffffu) + 1u, keep > 0.0);
}

// The bits above the digit; a shift by 32 is not defined, so it is done in two.
fn above(key: u32) -> u32 {
  return (key >> (params.shift + params.bits - 1u)) >> 1u;
}

fn count_weight(score: f32, keep: f32, place: u32) {
  if (score < 0.0) {
    return;
  }
  let key = rank_key(score, keep);
  let sorted = select(key, place, BY_PLACE);
  let found = select(state.key, state.index, BY_PLACE);
  if (above(sorted) == above(found) && (!BY_PLACE || key == state.key)) {
    atomicAdd(&digits[(sorted >> params.shift) & ((1u << params.bits) - 1u)], 1u);
  }
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  if (BY_PLACE && state.settled == 1u) {
    return;
  }
  let first = (group.y * groups.x + group.x) * 256u * params.quads_per_invocation + lane;
  for (var round = 0u; round < params.quads_per_invocation; round++) {
    let i = first + round * 256u;
    if (i < params.quads) {
      let score = read_scores(i);
      let keep = read_mask(i);
      count_weight(score.x, keep.x, 4u * i);
      count_weight(score.y, keep.y, 4u * i + 1u);
      count_weight(score.z, keep.z, 4u * i + 2u);
      count_weight(score.w, keep.w, 4u * i + 3u);
    }
  }
  workgroupBarrier();
  for (var digit = lane; digit < (1u << params.bits); digit += 256u) {
    let count = atomicLoad(&digits[digit]);
    if (count > 0u) {
      atomicAdd(&counts[digit], count);
    }
  }
}
