// Criterion lamp, for the core score/score.wgsl: w^2 / (sum of the squares of all weights u of the tensor with |u|
// >= |w|), and 0 for w = 0.
//
// keys (from params.keys) are the bits of all |u| in ascending order. larger_sums is the sum of the squares behind
// each chunk of keys. mean is an arena in quads. A weight finds the first key equal to its own by bisection. It
// adds the squares from there to the end of the chunk, and those behind. Of equal weights each counts the others
// too. Dispatched by src/prune/score/lamp.ts.
// Source: Lee et al. 2021, arXiv 2010.07611, equation 1.

struct Params {
  quads: u32,
  offset: u32,
  inner: u32,
  channels: u32,
  keys: u32,
  keys_per_chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read> keys: array<u32>;
@group(0) @binding(3) var<storage, read> larger_sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> scores: array<vec4f>;

fn lamp_score(weight: f32) -> f32 {
  let key = bitcast<u32>(weight) & 0x7fffffffu;
  var low = 0u;
  var high = params.keys - 1u;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (keys[middle] < key) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  let chunk = low / params.keys_per_chunk;
  var sum = 0.0;
  for (var k = low; k < (chunk + 1u) * params.keys_per_chunk; k++) {
    if (keys[k] != 0xffffffffu) {
      let value = bitcast<f32>(keys[k]);
      sum += value * value;
    }
  }
  let square = weight * weight;
  // A square that is too small for a float counts as nothing.
  return select(0.0, square / max(sum + larger_sums[chunk], square), square > 0.0);
}

fn score(i: u32) -> vec4f {
  let weights = read_mean(i);
  return vec4f(lamp_score(weights.x), lamp_score(weights.y), lamp_score(weights.z), lamp_score(weights.w));
}
