// Computes the forward pass of batch normalisation for each channel: y = (x - mean) / sqrt(variance + epsilon) *
// gamma + beta. The statistics that are bound are those of the batch in training, and the running ones in
// evaluation. With RESIDUAL, residual is added to y. With RELU, y is then at least zero.
//
// Shapes: x, residual and y (rows, quads); mean and variance (quads) from params.mean and params.variance; gamma
// and beta in the value arena at params.gamma and params.beta. All are in quads.
// One invocation computes the quads that lie stride apart. The stride is a multiple of quads, so they are all of
// one column, whose statistics are read once. Dispatched by src/model/layers/batchnorm2d.ts.
// Source: Ioffe and Szegedy 2015, arXiv 1502.03167.

// include dispatch
// include math/maximum

struct Params {
  quads_total: u32,
  quads: u32,
  mean: u32,
  variance: u32,
  gamma: u32,
  beta: u32,
  epsilon: f32,
  stride: u32,
}

override RESIDUAL: bool = false;
override RELU: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> mean: array<vec4f>;
@group(0) @binding(3) var<storage, read> variance: array<vec4f>;
@group(0) @binding(4) var<storage, read> values: array<vec4f>;
@group(0) @binding(5) var<storage, read> residual: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let first = invocation_index(invocation, 64u);
  if (first >= params.stride) {
    return;
  }
  let quad = first % params.quads;
  let mean = read_mean(params.mean + quad);
  let scale = read_values(params.gamma + quad) / sqrt(read_variance(params.variance + quad) + params.epsilon);
  let beta = read_values(params.beta + quad);
  for (var i = first; i < params.quads_total; i += params.stride) {
    var value = (read_x(i) - mean) * scale + beta;
    if (RESIDUAL) {
      value += read_residual(i);
    }
    if (RELU) {
      value = rectified(value);
    }
    write_y(i, value);
  }
}
