// Multiplies a map by a factor: y = map * factor, elementwise. A pixel of the factor belongs to `pixels` pixels of the
// map, in line order: one of the same place, or all of an image. It is the forward pass of a product, and gives the
// gradient of its map from that of y.
//
// Shapes: map and y (N, pixels in all, quads); factor (N, pixels in all / pixels, quads); quads_total is the number of
// quads of y. One invocation computes one quad of y. Dispatched by src/model/layers/multiply.ts.

// include dispatch

struct Params {
  quads_total: u32,
  quads: u32,
  pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> map: array<vec4f>;
@group(0) @binding(2) var<storage, read> factor: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads_total) {
    return;
  }
  let own = i / (params.quads * params.pixels) * params.quads + i % params.quads;
  write_y(i, read_map(i) * read_factor(own));
}
