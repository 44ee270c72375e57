// Counts the weights of a tensor that the radix select chose, including those that were removed before:
//
//   counts[params.layer] += number of weights for which select/is_selected.wgsl holds
//
// Shapes: scores and mask, arenas in quads with the tensor at params.offset; counts (layers). One invocation reads
// one quad; a workgroup adds once. The additions are of integers, so their order does not matter. Dispatched by
// src/prune/select/select.ts.

// include dispatch

struct Params {
  quads: u32,
  offset: u32,
  ordinal: u32,
  layer: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read> state: State;
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;

// include select/is_selected

var<workgroup> group_count: atomic<u32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation, @builtin(local_invocation_index) lane: u32) {
  let i = invocation_index(invocation, 64u);
  if (i < params.quads) {
    let quad = params.offset + i;
    let ones = select(vec4u(0u), vec4u(1u), are_selected(read_scores(quad), read_mask(quad), quad));
    atomicAdd(&group_count, ones.x + ones.y + ones.z + ones.w);
  }
  workgroupBarrier();
  if (lane == 0u) {
    atomicAdd(&counts[params.layer], atomicLoad(&group_count));
  }
}
