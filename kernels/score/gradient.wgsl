// Criterion gradient: |mean gradient|, of score/score.wgsl. gradient_mean: an arena in quads.

struct Params {
  quads: u32,
  offset: u32,
  inner: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient_mean: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> scores: array<vec4f>;

fn score(i: u32) -> vec4f {
  return abs(read_gradient_mean(i));
}
