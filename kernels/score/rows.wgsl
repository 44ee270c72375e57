// Criteria of whole filters (L1, geometric median, batch norm's scale), for the core score/score.wgsl: every weight
// gets the score of its filter (output unit) in row_scores (rows), so filters are removed one after the other.
// Dispatched by src/prune/score/criterion.ts.

struct Params {
  quads: u32,
  offset: u32,
  inner: u32,
  channels: u32,
  row_quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> row_scores: array<f32>;
@group(0) @binding(2) var<storage, read_write> scores: array<vec4f>;

fn score(i: u32) -> vec4f {
  return vec4f(row_scores[(i - params.offset) / params.row_quads]);
}
