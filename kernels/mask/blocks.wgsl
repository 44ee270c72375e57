// Removes the chosen blocks of a weight: mask = 0 where keep[first_block + b] is 0. Here b is the block of the
// element, as select/block_sums.wgsl counts blocks. The mask of other blocks stays.
//
// Shapes: mask, an arena in quads with the tensor (rows, taps, folded_taps, inner quads) at params.offset, of which
// taps or folded_taps is 1; keep (blocks of all tensors). One invocation decides one quad. Dispatched by
// src/prune/groups/blocks.ts.

// include dispatch

struct Params {
  quads: u32,
  first_block: u32,
  offset: u32,
  inner: u32,
  taps: u32,
  folded_taps: u32,
  columns: u32,
  block_rows: u32,
  block_taps: u32,
  block_columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keep: array<u32>;
@group(0) @binding(2) var<storage, read_write> mask: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let across = (params.columns + params.block_columns - 1u) / params.block_columns;
  let deep = (params.taps + params.block_taps - 1u) / params.block_taps;
  let folded_tap = (i / params.inner) % params.folded_taps;
  let tap = (i / params.inner / params.folded_taps) % params.taps;
  let row = i / params.inner / params.folded_taps / params.taps;
  let line = ((row / params.block_rows) * deep + tap / params.block_taps) * across + params.first_block;
  var kept = read_mask(params.offset + i);
  for (var j = 0u; j < 4u; j++) {
    let column = (4u * (i % params.inner) + j) * params.folded_taps + folded_tap;
    if (column < params.columns && keep[line + column / params.block_columns] == 0u) {
      kept[j] = 0.0;
    }
  }
  write_mask(params.offset + i, kept);
}
