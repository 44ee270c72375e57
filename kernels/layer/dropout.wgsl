// Computes dropout in training, forward and backward: y = x * scale for a kept element, else 0, with scale = 1 / (1
// - p).
//
// An element is dropped if a hash of the step's seed, the layer's stream and the element's index is below threshold
// = p 2^32. So the backward pass (dy as x, dx as y) drops the same elements as the forward pass, without a stored
// mask, and the same seed gives the same mask.
// Shapes: x and y (quads). One invocation computes one quad. Dispatched by src/model/layers/dropout.ts.
// Source: Srivastava et al. 2014, JMLR 15; Salmon et al. 2011 (counters instead of a state).

// include dispatch

struct Params {
  quads: u32,
  stream: u32,
  threshold: u32,
  scale: f32,
}

struct Step {
  seed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

// include random/mix_bits

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  // Both are mixed before they meet, so that neighbouring seeds do not give masks that are moved by a place.
  let key = mix_bits(step.seed ^ params.stream);
  let bits = mix_lanes(vec4u(key) ^ mix_lanes(vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u)));
  write_y(i, select(vec4f(0.0), read_x(i) * params.scale, bits >= vec4u(params.threshold)));
}
