// Batch normalisation, forward: y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, a channel at a time, with
// the batch's statistics (training) or the running ones (evaluation), whichever is bound. With RESIDUAL,
// residual is added to y; RELU then clamps it at zero.
// x, residual and y (rows, quads), mean and variance (quads) from params.mean and params.variance, gamma and beta in the value
// arena at params.gamma and params.beta, all in quads. One invocation computes the quads stride apart, all of one column
// (stride is a multiple of quads), so that it reads the column's statistics once.
// Source: Ioffe and Szegedy 2015, arXiv 1502.03167.

// include dispatch

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
      value = max(value, vec4f(0.0));
    }
    write_y(i, value);
  }
}
