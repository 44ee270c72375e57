// Computes the histogram of a layer's scores: counts[offset + bin] += 1 for every kept weight whose value falls
// into the bin, bin = min(floor(value * bins), bins - 1). Values below zero (padding) are left out.
//
// Shapes: confidence and mask, arenas in quads with the tensor at params.offset; counts (bins of every layer). One
// invocation reads one quad. The additions are of integers, so their order does not matter. Dispatched by
// src/prune/score/confidence.ts.

// include dispatch

struct Params {
  quads: u32,
  offset: u32,
  bins: u32,
  counts_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> confidence: array<vec4f>;
@group(0) @binding(2) var<storage, read> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> counts: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let value = read_confidence(params.offset + i);
  let keep = read_mask(params.offset + i);
  for (var j = 0u; j < 4u; j++) {
    if (value[j] >= 0.0 && keep[j] > 0.0) {
      let bin = min(u32(value[j] * f32(params.bins)), params.bins - 1u);
      atomicAdd(&counts[params.counts_offset + bin], 1u);
    }
  }
}
