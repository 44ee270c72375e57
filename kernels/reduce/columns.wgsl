// Column sum core: adds one term per row, over chunks of rows.
//
//   sums[chunk, quad] = sum over the chunk's rows of term(row, quad)
//
// An operation's file gives Params with rows, quads and rows_per_chunk, the bindings, and term(row, quad). A workgroup
// computes up to 64 quads of one chunk: each invocation adds rows that follow each other, in fours, whose loads
// then wait together, and reduce/add_lanes.wgsl adds these sums. reduce/splits.wgsl adds the chunks. Dispatched by src/kernels/reduce.ts.

// include reduce/chunks
// include reduce/add_lanes

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let chunk = chunk_at(group.y * groups.x + group.x, lane);
  let width = chunk_width();
  let depth = 64u / width;
  var sum = vec4f(0.0);
  var row = chunk.first;
  for (; row + 3u < chunk.last; row += 4u) {
    let term_${j} = term(row + ${j}u, chunk.quad);  // for j in 0..4
    sum += (term_0 + term_1) + (term_2 + term_3);
  }
  for (; row < chunk.last; row++) {
    sum += term(row, chunk.quad);
  }
  let total = add_lanes(sum, lane, width, depth);
  if (chunk.stores) {
    write_sums(chunk.index * params.quads + chunk.quad, total);
  }
}
