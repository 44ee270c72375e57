// Criterion random, for the core score/score.wgsl: a hash of the seed and the weight's index, uniform in [0, 1). It
// is the baseline that every criterion must beat. The index is that among all parameters if they lie in one window;
// params.ordinal is the index of the tensor's first quad there. Dispatched by src/prune/score/pointwise.ts.
// Source: the finalizer of MurmurHash3.

struct Params {
  quads: u32,
  offset: u32,
  inner: u32,
  channels: u32,
  seed: u32,
  ordinal: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> scores: array<vec4f>;

// include random/mix_bits

fn score(i: u32) -> vec4f {
  let index = vec4u(4u * (i - params.offset + params.ordinal)) + vec4u(0u, 1u, 2u, 3u);
  return vec4f(mix_lanes(index + vec4u(mix_bits(params.seed))) >> vec4u(8u)) / 16777216.0;
}
