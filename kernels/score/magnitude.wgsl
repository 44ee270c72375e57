// Criterion magnitude: |mean|, of score/score.wgsl. mean: an arena in quads.
// Source: Han et al. 2015, arXiv 1506.02626.

struct Params {
  quads: u32,
  offset: u32,
  inner: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> scores: array<vec4f>;

fn score(i: u32) -> vec4f {
  return abs(read_mean(i));
}
