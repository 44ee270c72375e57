// The slopes of a PReLU: the quad of `values` at params.offset for each quad of a pixel, or its first number for all
// channels. This file is part of kernels.

struct Params {
  quads_total: u32,
  quads: u32,
  offset: u32,
  is_shared: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> values: array<vec4f>;

fn slope_at(i: u32) -> vec4f {
  let quad = read_values(params.offset + select(i % params.quads, 0u, params.is_shared == 1u));
  return select(quad, vec4f(quad.x), params.is_shared == 1u);
}
