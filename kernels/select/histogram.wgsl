// Radix select, first half of a pass: counts one digit of the keys of the weights that are still candidates.
//
// The k-th smallest key is found digit by digit, from the top. Of the weights whose higher digits equal those found
// so far, counts[digit] is the number with each next digit. select/pick.wgsl then takes the digit in which the k-th
// lies. After the score's digits, the same is done with the indices (BY_INDEX) of the weights whose key equals the
// k-th. So of equal scores exactly as many weights go as asked, lowest index first. The index is that among all
// weights; params.ordinal is the index of the first quad. Scores below zero do not belong to weights.
// Shapes: scores and mask, arenas in quads, of which the quads from params.offset are read; counts (1 <<
// params.bits). One workgroup counts in workgroup memory (8 KiB) and adds its counts once. The additions are of
// integers, so their order does not matter. Dispatched by src/prune/select/select.ts.
// Source: Alabi et al. 2012, "Fast k-selection algorithms for graphics processing units".

struct Params {
  quads: u32,
  offset: u32,
  ordinal: u32,
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

override BY_INDEX: bool = false;
// The first digit of the key, which all weights have still to be counted for.
override FIRST: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read> state: State;
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;

var<workgroup> digits: array<atomic<u32>, 2048>;

// include select/rank_keys

// The bits above the digit; a shift by 32 is not defined, so it is done in two.
fn above(key: vec4u) -> vec4u {
  return (key >> vec4u(params.shift + params.bits - 1u)) >> vec4u(1u);
}

// One bit for each of the four weights of quad i whose digit is to be counted.
fn find_matches(i: u32, score: vec4f, key: vec4u, sorted: vec4u) -> u32 {
  let found = vec4u(select(state.key, state.index, BY_INDEX));
  let is_weight = (score >= vec4f(0.0)) & vec4<bool>(i < params.quads);
  let is_equal = vec4<bool>(!BY_INDEX) | (key == vec4u(state.key));
  let matches = is_weight & is_equal & (above(sorted) == above(found));
  let bits = select(vec4u(0u), vec4u(1u, 2u, 4u, 8u), matches);
  return bits.x | bits.y | bits.z | bits.w;
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // Where all weights of the key go, their places need no sorting.
  let rounds = select(params.quads_per_invocation, 0u, BY_INDEX && state.settled == 1u);
  let first = (group.y * groups.x + group.x) * 256u * params.quads_per_invocation + lane;
  for (var round = 0u; round < rounds; round++) {
    let i = first + round * 256u;
    let clamped = min(i, params.quads - 1u);
    let score = read_scores(params.offset + clamped);
    let key = rank_keys(score, read_mask(params.offset + clamped));
    let place = vec4u(4u * (params.ordinal + clamped)) + vec4u(0u, 1u, 2u, 3u);
    let sorted = select(key, place, BY_INDEX);
    let digit = (sorted >> vec4u(params.shift)) & vec4u((1u << params.bits) - 1u);
    var pending = find_matches(i, score, key, sorted);
    if (FIRST) {
      atomicAdd(&digits[digit.x], pending & 1u);
      atomicAdd(&digits[digit.y], (pending >> 1u) & 1u);
      atomicAdd(&digits[digit.z], (pending >> 2u) & 1u);
      atomicAdd(&digits[digit.w], pending >> 3u);
    } else {
      // Few weights match: as many turns as the lane with most matches has, not four.
      while (pending != 0u) {
        atomicAdd(&digits[digit[firstTrailingBit(pending)]], 1u);
        pending &= pending - 1u;
      }
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
