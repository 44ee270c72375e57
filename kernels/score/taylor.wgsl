// Criterion Taylor, first order: |mean * mean gradient|, of score/score.wgsl. Arenas in quads.
// Source: Molchanov et al. 2019, arXiv 1906.10771.

struct Params {
  quads: u32,
  offset: u32,
  inner: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradient_mean: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> scores: array<vec4f>;

fn score(i: u32) -> vec4f {
  return abs(read_mean(i) * read_gradient_mean(i));
}
