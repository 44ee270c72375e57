// The weight of a layer together with the batch norm by running statistics that follows it:
//
//   normed[o, i] = w[o, i] gamma[o] / sqrt(variance[o] + epsilon)
//
// By it the layer's backward pass takes the gradient of the batch norm's output for that of its own.
// Shapes: w (rows, row_quads) in quads at params.weight of the value arena; normed (rows, row_quads) in quads. One
// invocation computes a quad. Dispatched by src/model/fused_norm.ts.

// include dispatch

struct Params {
  rows: u32,
  row_quads: u32,
  weight: u32,
  variance: u32,
  gamma: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
@group(0) @binding(2) var<storage, read> statistics: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> normed: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let item = invocation_index(invocation, 64u);
  if (item >= params.rows * params.row_quads) {
    return;
  }
  let row = item / params.row_quads;
  let gamma = read_values(params.gamma + row / 4u)[row % 4u];
  let variance = read_statistics(params.variance + row / 4u)[row % 4u];
  write_normed(item, read_values(params.weight + item) * (gamma / sqrt(variance + params.epsilon)));
}
