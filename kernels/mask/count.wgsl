// Counts the kept weights of each channel (a row of the tensor) and of each layer:
//
//   channels[channel_offset + row] = sum of the row's mask;   layers[layer] += the same
//
// Shapes: mask, an arena in quads with the tensor (rows, row_quads) at params.offset, padding being 0. One
// invocation adds one row. The additions are of integers, so their order does not matter. Dispatched by
// src/prune/mask.ts.

// include dispatch

struct Params {
  rows: u32,
  row_quads: u32,
  offset: u32,
  channel_offset: u32,
  layer: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mask: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> channels: array<u32>;
@group(0) @binding(3) var<storage, read_write> layers: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let row = invocation_index(invocation, 64u);
  if (row >= params.rows) {
    return;
  }
  var kept = vec4u(0u);
  for (var quad = 0u; quad < params.row_quads; quad++) {
    kept += select(vec4u(0u), vec4u(1u), read_mask(params.offset + row * params.row_quads + quad) > vec4f(0.0));
  }
  let count = kept.x + kept.y + kept.z + kept.w;
  channels[params.channel_offset + row] = count;
  atomicAdd(&layers[params.layer], count);
}
