// Criterion snr: |mean| / sqrt(variance) over the steps that training averaged, of score/score.wgsl. A deviation below
// 1e-20, that of a weight which never moved, counts as that much. mean, variance: arenas in quads.
// Source: Maddox et al. 2019, arXiv 1902.02476, section 3.2.

struct Params {
  quads: u32,
  offset: u32,
  inner: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read> variance: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> scores: array<vec4f>;

fn score(i: u32) -> vec4f {
  return abs(read_mean(i)) / max(sqrt(read_variance(i)), vec4f(1.0e-20));
}
