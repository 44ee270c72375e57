// Computes the factor that brings the global norm of the gradients down to params.clip_norm:
//
//   gradient_scale = min(1, clip_norm / (norm + 1e-6)),   norm = sqrt(sum of sums)
//
// If the norm is not finite, the step is noted as bad.
// Shapes: sums (chunks, 64) in quads, the squares of reduce/gradient_norm.wgsl. One workgroup runs. Each invocation
// adds one column in the order of the chunks; a fixed tree adds the 64 sums. Dispatched by src/plan/optimizer.ts.
// Source: Pascanu et al. 2013, arXiv 1211.5063; torch.nn.utils.clip_grad_norm_.

// include math/finite

struct Params {
  chunks: u32,
  clip_norm: f32,
}

struct Step {
  index: u32,
}

struct Tally {
  loss_sum: f32,
  correct: u32,
  count: u32,
  bad_step: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> sums: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> tally: Tally;
@group(0) @binding(4) var<storage, read_write> gradient_scale: array<f32>;

var<workgroup> lane_sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = vec4f(0.0);
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    sum += read_sums(chunk * 64u + lane);
  }
  lane_sums[lane] = (sum.x + sum.y) + (sum.z + sum.w);
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (lane < half) {
      lane_sums[lane] += lane_sums[lane + half];
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    let squares = lane_sums[0];
    if (!is_finite(squares)) {
      tally.bad_step = min(tally.bad_step, 2u * step.index);
    }
    gradient_scale[0] = min(1.0, params.clip_norm / (sqrt(squares) + 1e-6));
  }
}
