// Computes the gradient of the input of batch normalisation:
//
//   training:    dx = gamma / sqrt(variance + epsilon) * (dy - dbeta / rows - xhat * dgamma / rows)
//   evaluation:  dx = gamma / sqrt(variance + epsilon) * dy          (EVALUATION: the statistics are constants)
//
// Shapes: x, dy and dx (rows, quads); mean and variance (quads) from params.mean and params.variance; gamma in the
// value arena; dgamma and dbeta in the gradient arena, at the offsets of gamma and beta. All are in quads.
// One invocation computes the quads that lie stride apart. The stride is a multiple of quads, so they are all of
// one column, whose statistics are read once. Dispatched by src/model/layers/batchnorm2d.ts.
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
  inverse_rows: f32,
  stride: u32,
}

override EVALUATION: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read> mean: array<vec4f>;
@group(0) @binding(4) var<storage, read> variance: array<vec4f>;
@group(0) @binding(5) var<storage, read> values: array<vec4f>;
@group(0) @binding(6) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let first = invocation_index(invocation, 64u);
  if (first >= params.stride) {
    return;
  }
  let quad = first % params.quads;
  let deviation = sqrt(read_variance(params.variance + quad) + params.epsilon);
  let scale = read_values(params.gamma + quad) / deviation;
  if (EVALUATION) {
    for (var i = first; i < params.quads_total; i += params.stride) {
      write_dx(i, read_dy(i) * scale);
    }
    return;
  }
  let mean = read_mean(params.mean + quad);
  let dbeta = read_gradients(params.beta + quad) * params.inverse_rows;
  let dgamma = read_gradients(params.gamma + quad) * params.inverse_rows / deviation;
  for (var i = first; i < params.quads_total; i += params.stride) {
    write_dx(i, (read_dy(i) - (dbeta + (read_x(i) - mean) * dgamma)) * scale);
  }
}
