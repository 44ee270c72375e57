// Computes the sums that give the prior precision, over chunks of one tensor's kept weights (mask 1):
//
//   sums[chunk_offset + chunk] = (sum of mean^2, sum of N F / (N F + prior_precision[layer]), kept weights, 0)
//
// EFFECTIVE adds the second sum, the effective number of parameters. Without it prior_precision is not read.
// Shapes: mean, fisher and mask, arenas in quads with the tensor at params.offset; N = params.examples;
// prior_precision (layers). One invocation adds quads_per_chunk quads in order. Dispatched by
// src/prune/score/confidence.ts.
// Source: MacKay 1992, "Bayesian interpolation", eq. 4.8.

// include dispatch

struct Params {
  quads: u32,
  quads_per_chunk: u32,
  offset: u32,
  chunk_offset: u32,
  layer: u32,
  examples: f32,
}

override EFFECTIVE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read> fisher: array<vec4f>;
@group(0) @binding(3) var<storage, read> mask: array<vec4f>;
@group(0) @binding(4) var<storage, read> prior_precision: array<f32>;
@group(0) @binding(5) var<storage, read_write> sums: array<vec4f>;

fn total(v: vec4f) -> f32 {
  return (v.x + v.y) + (v.z + v.w);
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let chunk = invocation_index(invocation, 64u);
  let first = chunk * params.quads_per_chunk;
  if (first >= params.quads) {
    return;
  }
  let last = min(first + params.quads_per_chunk, params.quads);
  var squares = vec4f(0.0);
  var effective = vec4f(0.0);
  var kept = vec4f(0.0);
  for (var quad = first; quad < last; quad++) {
    let i = params.offset + quad;
    let keep = read_mask(i);
    let mean_value = read_mean(i);
    squares += keep * mean_value * mean_value;
    kept += keep;
    if (EFFECTIVE) {
      let curvature = params.examples * read_fisher(i);
      effective += keep * curvature / (curvature + vec4f(prior_precision[params.layer]));
    }
  }
  write_sums(params.chunk_offset + chunk, vec4f(total(squares), total(effective), total(kept), 0.0));
}
