// Column sums core: adds a term a row over chunks of rows.
//
//   sums[chunk, quad] = sum over the chunk's rows of term(row, quad)
//
// An operation's file gives Params with rows, quads and rows_per_chunk, the bindings, and term(row, quad).
// One invocation computes one quad of one chunk, in the order of the rows; reduce/splits.wgsl adds the chunks.

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * (groups.x * 64u) + id.x;
  let chunk = index / params.quads;
  let quad = index - chunk * params.quads;
  let first = chunk * params.rows_per_chunk;
  if (first >= params.rows) {
    return;
  }
  let last = min(first + params.rows_per_chunk, params.rows);
  var sum = vec4f(0.0);
  for (var row = first; row < last; row++) {
    sum += term(row, quad);
  }
  write_sums(index, sum);
}
