// Column sum core: adds one term per row, over chunks of rows.
//
//   sums[chunk, quad] = sum over the chunk's rows of term(row, quad)
//
// An operation's file gives Params with rows, quads and rows_per_chunk, the bindings, and term(row, quad). One
// invocation computes one quad of one chunk in the order of the rows. reduce/splits.wgsl adds the chunks.
// Dispatched by src/kernels/reduce.ts.

// include dispatch
// include reduce/chunks

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let index = invocation_index(invocation, 64u);
  let chunk = chunk_at(index);
  if (chunk.first >= params.rows) {
    return;
  }
  var sum = vec4f(0.0);
  for (var row = chunk.first; row < chunk.last; row++) {
    sum += term(row, chunk.quad);
  }
  write_sums(index, sum);
}
