// Score core: one score a weight of one tensor, >= 0, larger = kept longer; -1 in the padding of the quads.
//
// A criterion's file gives Params with quads, offset (the tensor's first quad in its arena), inner (quads a tap) and
// channels (real ones a tap), the bindings, and score(i), the scores of the four weights of arena quad i.
// scores: quads from params.offset. One invocation computes one quad.

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
