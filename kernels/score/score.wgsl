// Score core: gives one score per weight of a tensor. Scores are at least 0; weights with larger scores are kept
// longer. Padding of the quads gets -1.
//
// A criterion's file gives Params with quads, offset (the tensor's first quad in its arena), inner (quads per tap)
// and channels (real channels per tap), the bindings, and score(i), the scores of the four weights of arena quad i.
// Shapes: scores, the quads from params.offset. One invocation computes one quad. Dispatched by
// src/prune/score/criterion.ts.

// include dispatch

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let channel = vec4u(4u * (i % params.inner)) + vec4u(0u, 1u, 2u, 3u);
  let arena_quad = params.offset + i;
  write_scores(arena_quad, select(vec4f(-1.0), score(arena_quad), channel < vec4u(params.channels)));
}
