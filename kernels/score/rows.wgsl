// Criteria of whole filters (L1, geometric median, batch norm's scale): every weight gets what row_scores (rows of the
// tensor) says of its filter (output unit), so that filters go one after the other; of score/score.wgsl.

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
