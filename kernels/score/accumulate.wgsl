// Adds a batch's gradient g, taken at the running mean, to the arenas that criteria read:
//
//   fisher += step.fisher_weight * g^2;    gradient_mean += step.gradient_weight * g
//
// With fisher_weight = B / batches and gradient_weight = 1 / batches, fisher is B times the mean over batches of
// g^2: the diagonal Fisher information by the gradients of mean losses of batches of B. gradient_mean is the mean
// gradient. A sum that is not finite is noted in the tally as 2 step.index + 1, like other values.
// Shapes: gradients, fisher and gradient_mean (quads). One invocation updates one quad. The formula is explained in
// docs/method.md. Dispatched by src/plan/lower.ts.

// include dispatch
// include math/finite

struct Params {
  quads: u32,
}

struct Step {
  fisher_weight: f32,
  gradient_weight: f32,
  index: u32,
}

struct Tally {
  loss_sum: f32,
  correct: u32,
  count: u32,
  bad_step: atomic<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> fisher: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> gradient_mean: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> tally: Tally;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let gradient = read_gradients(i);
  let fisher = read_fisher(i) + step.fisher_weight * gradient * gradient;
  let gradient_mean = read_gradient_mean(i) + step.gradient_weight * gradient;
  write_fisher(i, fisher);
  write_gradient_mean(i, gradient_mean);
  if (!all_finite(gradient) || !all_finite(fisher) || !all_finite(gradient_mean)) {
    atomicMin(&tally.bad_step, 2u * step.index + 1u);
  }
}
