// Gradient of batch norm's gamma: dgamma[c] = sum over rows of dy[row, c] xhat[row, c], with
// xhat = (x - mean) / sqrt(variance + epsilon). Term of reduce/columns.wgsl.
// x and dy (rows, quads), mean and variance (quads) from params.mean and params.variance, sums (chunks, quads), all in
// quads.

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

var<private> mean_of_column: vec4f;
var<private> deviation: vec4f;

fn begin(quad: u32) {
  mean_of_column = read_mean(params.mean + quad);
  deviation = sqrt(read_variance(params.variance + quad) + params.epsilon);
}

fn term(row: u32, quad: u32) -> vec4f {
  let i = row * params.quads + quad;
  return read_dy(i) * (read_x(i) - mean_of_column);
}

fn finish(sum: vec4f) -> vec4f {
  return sum / deviation;
}
