// Removes the weights that the radix select chose: mask = 0 if select/is_selected.wgsl says so. Every other mask
// stays, so a removed weight does not come back if fewer weights are to be removed than are removed already. If
// params.remove is 0, nothing is removed. Scores below zero do not belong to weights; their mask stays.
//
// Shapes: scores and mask, arenas in quads, of which the quads from params.offset are decided. One invocation
// decides one quad. Dispatched by src/prune/select/select.ts.

// include dispatch

struct Params {
  quads: u32,
  offset: u32,
  ordinal: u32,
  remove: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read> state: State;
@group(0) @binding(3) var<storage, read_write> mask: array<vec4f>;

// include select/is_selected

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  if (params.remove == 0u) {
    return;
  }
  let quad = params.offset + i;
  let keep = read_mask(quad);
  write_mask(quad, select(keep, vec4f(0.0), are_selected(read_scores(quad), keep, quad)));
}
