// Applies N:M sparsity along PyTorch's columns, as sparse hardware reads them: of every M consecutive columns of a
// line the best are kept, and the mask of the others becomes 0.
//
//   kept of a full group: params.keep;   of a shorter group at the end: ceil(keep * length / M), M = params.group_size
//
// A line is a row and tap of a convolution, and its columns are input channels. In a linear layer a line is a row;
// behind a flatten, channel c at tap t is column c * folded_taps + t. Removed weights (mask 0) rank below all
// others and stay removed. Of equal scores the lower columns are removed first.
// Shapes: scores and mask, arenas of floats with the tensor (lines, folded_taps, inner quads) at quad
// params.offset; M is at most 32. One invocation decides one group: for each weight it counts those that rank above
// it. Dispatched by src/prune/select/select.ts.
// Source: Mishra et al. 2021, "Accelerating sparse deep neural networks", arXiv 2104.08378.

// include dispatch

struct Params {
  groups: u32,
  groups_per_line: u32,
  offset: u32,
  inner: u32,
  columns: u32,
  folded_taps: u32,
  keep: u32,
  group_size: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read_write> mask: array<f32>;

// Removed ones first, then by the bits of the score, which rise with it.
fn rank_key(place: u32) -> u32 {
  return select(0u, (bitcast<u32>(scores[place]) & 0x7fffffffu) + 1u, mask[place] > 0.0);
}

fn place_of(line: u32, column: u32) -> u32 {
  let tap = line + column % params.folded_taps;
  return 4u * (params.offset + tap * params.inner) + column / params.folded_taps;
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let group = invocation_index(invocation, 64u);
  if (group >= params.groups) {
    return;
  }
  let first = (group % params.groups_per_line) * params.group_size;
  let length = min(params.group_size, params.columns - first);
  let line = group / params.groups_per_line * params.folded_taps;
  let kept = (params.keep * length + params.group_size - 1u) / params.group_size;
  var keys: array<u32, 32>;
  for (var j = 0u; j < length; j++) {
    keys[j] = rank_key(place_of(line, first + j));
  }
  for (var j = 0u; j < length; j++) {
    var above = 0u;
    for (var other = 0u; other < length; other++) {
      if (keys[other] > keys[j] || (keys[other] == keys[j] && other > j)) {
        above += 1u;
      }
    }
    if (above >= kept) {
      mask[place_of(line, first + j)] = 0.0;
    }
  }
}
