// Shuffles channels: y[n, p, c] = x[n, p, (c mod groups) * channels / groups + c / groups], one of each group in turn.
// The shuffle by channels / groups is its inverse, and so its backward pass.
//
// Shapes: x and y (N, H, W, quads); quads_total is the number of quads of y. One invocation computes one quad of y.
// Dispatched by src/model/layers/shuffle.ts.
// Source: Zhang et al. 2017, arXiv 1707.01083.

// include dispatch

struct Params {
  quads_total: u32,
  channels: u32,
  groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads_total) {
    return;
  }
  let quads = (params.channels + 3u) / 4u;
  let pixel = i / quads;
  let positions = params.channels / params.groups;
  var quad = vec4f(0.0);
  for (var lane = 0u; lane < 4u; lane++) {
    let c = 4u * (i - pixel * quads) + lane;
    if (c < params.channels) {
      let source = (c % params.groups) * positions + c / params.groups;
      let from_quad = read_x(pixel * quads + source / 4u);
      quad[lane] = from_quad[source % 4u];
    }
  }
  write_y(i, quad);
}
