// Criterion lamp: sums[chunk] = sum of the squares of keys_per_chunk sorted keys. Keys are the bits of floats; a
// key of 0xffffffff is no weight.
//
// One invocation adds one chunk in ascending order, so that small squares are not lost. Dispatched by
// src/prune/score/lamp.ts.

// include dispatch

struct Params {
  chunks: u32,
  keys_per_chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let chunk = invocation_index(invocation, 64u);
  if (chunk >= params.chunks) {
    return;
  }
  var sum = 0.0;
  for (var k = 0u; k < params.keys_per_chunk; k++) {
    let key = keys[chunk * params.keys_per_chunk + k];
    if (key != 0xffffffffu) {
      let value = bitcast<f32>(key);
      sum += value * value;
    }
  }
  sums[chunk] = sum;
}
