// Computes what the blocks of a weight are worth. Over the elements of a block that are kept (mask above 0) and
// scored (score at least 0):
//
//   sums[first_block + b] = sum of score^2, or of score without SQUARED;   counts[first_block + b] = their number
//
// Shapes: scores and mask, arenas of floats with the tensor (rows, taps, folded_taps, inner quads) at quad
// params.offset, of which taps or folded_taps is 1. A column is an input channel. In a linear layer behind a
// flatten, whose taps are folded, column c * folded_taps + t is channel c at tap t, as PyTorch counts. A block has
// block_rows x block_taps x block_columns elements, fewer at the edges. Blocks are counted by rows, then taps, then
// columns.
// One invocation adds one block, by rows, taps and columns in order; it first adds each row and tap on its own.
// Dispatched by src/prune/groups/blocks.ts.

// include dispatch

struct Params {
  blocks: u32,
  first_block: u32,
  offset: u32,
  inner: u32,
  rows: u32,
  taps: u32,
  folded_taps: u32,
  columns: u32,
  block_rows: u32,
  block_taps: u32,
  block_columns: u32,
}

override SQUARED: bool = true;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> counts: array<u32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let block = invocation_index(invocation, 64u);
  if (block >= params.blocks) {
    return;
  }
  let across = (params.columns + params.block_columns - 1u) / params.block_columns;
  let deep = (params.taps + params.block_taps - 1u) / params.block_taps;
  let first_column = (block % across) * params.block_columns;
  let last_column = min(first_column + params.block_columns, params.columns);
  let first_tap = (block / across % deep) * params.block_taps;
  let last_tap = min(first_tap + params.block_taps, params.taps);
  let first_row = (block / across / deep) * params.block_rows;
  let last_row = min(first_row + params.block_rows, params.rows);
  var sum = 0.0;
  var count = 0u;
  for (var row = first_row; row < last_row; row++) {
    for (var tap = first_tap; tap < last_tap; tap++) {
      let line = (row * params.taps + tap) * params.folded_taps;
      var part = 0.0;
      for (var column = first_column; column < last_column; column++) {
        let quad = params.offset + (line + column % params.folded_taps) * params.inner;
        let place = 4u * quad + column / params.folded_taps;
        let score = scores[place];
        if (score >= 0.0 && mask[place] > 0.0) {
          part += select(score, score * score, SQUARED);
          count += 1u;
        }
      }
      sum += part;
    }
  }
  sums[params.first_block + block] = sum;
  counts[params.first_block + block] = count;
}
