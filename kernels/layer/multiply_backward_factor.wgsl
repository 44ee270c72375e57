// Computes the gradient of a product's factor: dx = sum of dy * map over the pixels of the map that a pixel of the
// factor belongs to (layer/multiply.wgsl). Sums start in f32 with the first pixel, in line order.
//
// Shapes: map and dy (N, pixels in all, quads); dx (N, pixels in all / pixels, quads); quads_total is the number of
// quads of dx. One invocation computes one quad of dx. Dispatched by src/model/layers/multiply.ts.

// include dispatch

struct Params {
  quads_total: u32,
  quads: u32,
  pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> map: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads_total) {
    return;
  }
  let pixel = i / params.quads;
  let first = pixel * params.pixels * params.quads + (i - pixel * params.quads);
  var sum = vec4f(0.0);
  for (var p = 0u; p < params.pixels; p++) {
    let at = first + p * params.quads;
    sum += read_dy(at) * read_map(at);
  }
  write_dx(i, sum);
}
