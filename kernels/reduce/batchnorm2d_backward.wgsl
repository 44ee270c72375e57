// Computes the gradients of batch normalisation's shift and scale over chunks of rows, which reduce/splits.wgsl
// adds:
//
//   dbeta[c] = sum over rows of dy[row, c]
//   dgamma[c] = sum over rows of dy[row, c] (x[row, c] - mean) / sqrt(variance + epsilon)
//
// Shapes: x and dy (rows, quads); mean and variance (quads) from params.mean and params.variance; sums (chunks, 2,
// quads): dbeta, then dgamma. One invocation computes one quad of one chunk. Dispatched by
// src/model/layers/batchnorm2d.ts.
// Source: Ioffe and Szegedy 2015, arXiv 1502.03167.

// include dispatch
// include reduce/chunks

struct Params {
  rows: u32,
  quads: u32,
  rows_per_chunk: u32,
  mean: u32,
  variance: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read> mean: array<vec4f>;
@group(0) @binding(4) var<storage, read> variance: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> sums: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let chunk = chunk_at(invocation_index(invocation, 64u));
  if (chunk.first >= params.rows) {
    return;
  }
  let quad = chunk.quad;
  let mean_of_column = read_mean(params.mean + quad);
  var dbeta = vec4f(0.0);
  var dgamma = vec4f(0.0);
  for (var row = chunk.first; row < chunk.last; row++) {
    let i = row * params.quads + quad;
    let gradient = read_dy(i);
    dbeta += gradient;
    dgamma += gradient * (read_x(i) - mean_of_column);
  }
  let deviation = sqrt(read_variance(params.variance + quad) + params.epsilon);
  let at = 2u * chunk.index * params.quads + quad;
  write_sums(at, dbeta);
  write_sums(at + params.quads, dgamma / deviation);
}
