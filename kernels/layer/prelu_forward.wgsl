// Computes the forward pass of PReLU: y = x if x > 0, else slope x. NaN passes.
//
// Shapes: x and y (pixels, quads); values, the arena with the slopes (layer/prelu_slope.wgsl); quads_total is the number
// of quads of y. One invocation computes one quad. Dispatched by src/model/layers/prelu.ts.
// Source: He et al. 2015, arXiv 1502.01852.

// include dispatch
// include layer/prelu_slope

@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads_total) {
    return;
  }
  let quad = read_x(i);
  write_y(i, select(slope_at(i) * quad, quad, quad > vec4f(0.0)));
}
