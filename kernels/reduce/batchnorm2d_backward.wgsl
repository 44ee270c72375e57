// Computes the gradients of batch normalisation's shift and scale over chunks of rows, which reduce/splits.wgsl
// adds:
//
//   dbeta[c] = sum over rows of dy[row, c]
//   dgamma[c] = sum over rows of dy[row, c] (x[row, c] - mean) / sqrt(variance + epsilon)
//
// Shapes: x and dy (rows, quads); mean and variance (quads) from params.mean and params.variance; sums (chunks, 2,
// quads): dgamma, then dbeta, as in the arena. A workgroup computes up to 64 quads of one chunk: each invocation adds
// rows that follow each other, in fours, whose loads then wait together, and reduce/add_lanes.wgsl adds these sums. Dispatched by src/model/layers/batchnorm2d.ts.
// Source: Ioffe and Szegedy 2015, arXiv 1502.03167.

// include reduce/chunks
// include reduce/add_lanes

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
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let chunk = chunk_at(group.y * groups.x + group.x, lane);
  let width = chunk_width();
  let depth = 64u / width;
  var dbeta = vec4f(0.0);
  var dgamma = vec4f(0.0);
  if (chunk.first < chunk.last) {
    let mean_of_column = read_mean(params.mean + chunk.quad);
    var row = chunk.first;
    for (; row + 3u < chunk.last; row += 4u) {
      // for j in 0..4
      let i_${j} = (row + ${j}u) * params.quads + chunk.quad;
      let gradient_${j} = read_dy(i_${j});
      let x_${j} = read_x(i_${j});
      // end
      dbeta += (gradient_0 + gradient_1) + (gradient_2 + gradient_3);
      dgamma += gradient_${j} * (x_${j} - mean_of_column);  // for j in 0..4
    }
    for (; row < chunk.last; row++) {
      let i = row * params.quads + chunk.quad;
      let gradient = read_dy(i);
      dbeta += gradient;
      dgamma += gradient * (read_x(i) - mean_of_column);
    }
  }
  let dbeta_sum = add_lanes(dbeta, lane, width, depth);
  workgroupBarrier();
  let dgamma_sum = add_lanes(dgamma, lane, width, depth);
  if (chunk.stores) {
    let deviation = sqrt(read_variance(params.variance + chunk.quad) + params.epsilon);
    let at = 2u * chunk.index * params.quads + chunk.quad;
    write_sums(at, dgamma_sum / deviation);
    write_sums(at + params.quads, dbeta_sum);
  }
}
