// Criterion confidence: the signal to noise of a weight, of score/score.wgsl:
//
//   z = |mean| * sqrt(examples * fisher + prior_precision[layer])
//
// confidence = erf(z / sqrt 2) = P(right sign) - P(wrong sign); ranked on z, since erf reads 1 in f32 above z = 5.5.
// Arenas in quads; prior_precision (layers). Source: docs/method.md; Graves 2011; MacKay 1992.

struct Params {
  quads: u32,
  offset: u32,
  inner: u32,
  channels: u32,
  layer: u32,
  examples: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read> fisher: array<vec4f>;
@group(0) @binding(3) var<storage, read> prior_precision: array<f32>;
@group(0) @binding(4) var<storage, read_write> scores: array<vec4f>;

fn score(i: u32) -> vec4f {
  let information = params.examples * read_fisher(i) + vec4f(prior_precision[params.layer]);
  return abs(read_mean(i)) * sqrt(information);
}
