// Criterion bn-scale: row_scores[row] = |scale of the row's channel|. The scales are floats of the arena mean from
// params.first.
//
// One invocation reads one row. Dispatched by src/prune/score/filters.ts.
// Source: Liu et al. 2017, arXiv 1708.06519.

// include dispatch

struct Params {
  rows: u32,
  first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read_write> row_scores: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let row = invocation_index(invocation, 64u);
  if (row >= params.rows) {
    return;
  }
  row_scores[row] = abs(mean[params.first + row]);
}
