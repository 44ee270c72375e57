// Finds the rows and the quad that one invocation sums. This file is part of the kernels that sum columns over
// chunks of rows; their Params have rows, quads and rows_per_chunk.
//
// A workgroup has a chunk of rows and up to 64 quads. Its 64 invocations lie side by side over chunk_width() quads,
// chunk_depth() deep. Each has its quad of rows that follow each other; params.rows_per_chunk is a multiple of
// chunk_depth().

// The rows of a quad that an invocation sums, from first to before last; none where it has none.
struct Chunk {
  index: u32,
  quad: u32,
  first: u32,
  last: u32,
  stores: bool,
}

fn chunk_width() -> u32 {
  return min(params.quads, 64u);
}

fn chunk_depth() -> u32 {
  return 64u / chunk_width();
}

fn chunk_at(group: u32, lane: u32) -> Chunk {
  let blocks = (params.quads + 63u) / 64u;
  let index = group / blocks;
  let quad = (group - index * blocks) * 64u + lane % chunk_width();
  let own = lane / chunk_width();
  let rows = params.rows_per_chunk / chunk_depth();
  let first = index * params.rows_per_chunk + own * rows;
  let last = min(first + rows, params.rows);
  let is_idle = own >= chunk_depth() || quad >= params.quads;
  return Chunk(index, quad, first, select(last, 0u, is_idle), own == 0u && !is_idle && first < last);
}
