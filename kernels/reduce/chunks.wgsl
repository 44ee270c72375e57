// Finds the rows and the quad that one invocation sums. This file is part of the kernels that sum columns over
// chunks of rows; their Params have rows, quads and rows_per_chunk.

// A quad of a chunk's rows, from first to before last; none where first is not below params.rows.
struct Chunk {
  index: u32,
  quad: u32,
  first: u32,
  last: u32,
}

fn chunk_at(invocation: u32) -> Chunk {
  let index = invocation / params.quads;
  let first = index * params.rows_per_chunk;
  let last = min(first + params.rows_per_chunk, params.rows);
  return Chunk(index, invocation - index * params.quads, first, last);
}
