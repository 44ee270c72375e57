// Criterion L1: the mean absolute weight of the whole filter (output unit) that a weight belongs to, so that filters
// go one after the other; of score/score.wgsl. row_norms (rows of the tensor). Source: Li et al. 2017, arXiv 1608.08710.

struct Params {
  quads: u32,
  offset: u32,
  inner: u32,
  channels: u32,
  row_quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> row_norms: array<f32>;
@group(0) @binding(2) var<storage, read_write> scores: array<vec4f>;

fn score(i: u32) -> vec4f {
  return vec4f(row_norms[(i - params.offset) / params.row_quads]);
}
