// Mask from the k-th smallest key that the radix select found: a weight is removed (mask 0) where select/is_selected.wgsl
// says so; otherwise its mask stays, so that a removed weight does not come back where fewer are asked to go than are
// removed. Where no weight is asked to go (params.remove 0), none goes. Scores below zero are not weights: their mask stays.
// scores, mask: arenas in quads, of which quads from params.offset are decided. One invocation decides one quad.

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
