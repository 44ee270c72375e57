// Computes the gradient of a PReLU's input: dx = dy if x > 0, else slope dy. At 0 it is slope dy, as in PyTorch.
//
// Shapes: x, dy and dx (pixels, quads); values, the arena with the slopes (layer/prelu_slope.wgsl); quads_total is the
// number of quads of dx. One invocation computes one quad. Dispatched by src/model/layers/prelu.ts.

// include dispatch
// include layer/prelu_slope

@group(0) @binding(3) var<storage, read> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads_total) {
    return;
  }
  write_dx(i, read_dy(i) * select(slope_at(i), vec4f(1.0), read_x(i) > vec4f(0.0)));
}
