// Computes the gradients of a layer's parameters, and of the scale of the batch norm by running statistics that
// follows it, from those that the layer would have with the batch norm's output as its own:
//
//   dw[o, i] = s[o] h[o, i],   db[o] = s[o] e[o],   s[o] = gamma[o] / sqrt(variance[o] + epsilon)
//   dgamma[o] = (sum over i of h[o, i] w[o, i] + (b[o] - mean[o]) e[o]) / sqrt(variance[o] + epsilon)
//
// h, the gradient of a weight w whose outputs are the batch norm's, stands at params.weight of the gradients and is
// replaced by dw; e, the sum of the gradient of the batch norm's output, stands at params.beta and is its shift's
// gradient. With HAS_BIAS the layer has a bias b; otherwise b is 0.
// Shapes: w, h (rows, row_quads) in quads; the others (rows). A workgroup computes four rows. Each invocation adds
// every 64th quad in order; a fixed tree adds the 64 sums. Dispatched by src/model/fused_norm.ts.

struct Params {
  rows: u32,
  row_quads: u32,
  weight: u32,
  bias: u32,
  mean: u32,
  variance: u32,
  gamma: u32,
  beta: u32,
  epsilon: f32,
}

override HAS_BIAS: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
@group(0) @binding(2) var<storage, read> statistics: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4f>;

var<workgroup> sums: array<vec4f, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let rows = group.y * groups.x + group.x;
  if (4u * rows >= params.rows) {
    return;
  }
  let deviation = sqrt(read_statistics(params.variance + rows) + params.epsilon);
  let scale = read_values(params.gamma + rows) / deviation;
  var sum = vec4f(0.0);
  for (var i = 0u; i < min(4u, params.rows - 4u * rows); i++) {
    let start = params.weight + (4u * rows + i) * params.row_quads;
    for (var quad = lane; quad < params.row_quads; quad += 64u) {
      let gradient = read_gradients(start + quad);
      sum[i] += dot(gradient, read_values(start + quad));
      write_gradients(start + quad, scale[i] * gradient);
    }
  }
  sums[lane] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (lane < half) {
      sums[lane] += sums[lane + half];
    }
    workgroupBarrier();
  }
  if (lane > 0u) {
    return;
  }
  let shift = read_gradients(params.beta + rows);
  var centre = -read_statistics(params.mean + rows);
  if (HAS_BIAS) {
    centre += read_values(params.bias + rows);
    write_gradients(params.bias + rows, scale * shift);
  }
  write_gradients(params.gamma + rows, (sums[0] + centre * shift) / deviation);
}
