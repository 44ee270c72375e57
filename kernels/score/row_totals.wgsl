// Adds the parts of each row: row_scores[row] = sum over chunks of parts[chunk, row].
//
// Shapes: parts (chunks, rows); row_scores (rows). One invocation adds one row in order. Dispatched by
// src/prune/score/filters.ts.

// include dispatch

struct Params {
  rows: u32,
  chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> row_scores: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let row = invocation_index(invocation, 64u);
  if (row >= params.rows) {
    return;
  }
  var sum = 0.0;
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    sum += parts[chunk * params.rows + row];
  }
  row_scores[row] = sum;
}
