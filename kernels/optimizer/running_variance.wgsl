// Updates the running variance of every parameter over the steps of training, before optimizer/running_mean.wgsl
// updates the mean:
//
//   variance = (1 - w) (variance + w (value - mean)^2),   w = step.mean_weight
//
// With w = 1 / n this is the variance of the n values. With the weights of an exponential mean it is the variance
// under those weights. With w = 1 it is 0, whatever was there before. The mean of squares less the squared mean
// would lose small deviations to rounding. Nothing changes after a bad step.
// Shapes: values, mean and variance (quads). One invocation updates one quad. Dispatched by src/plan/optimizer.ts.
// Source: West 1979, "Updating mean and variance estimates: an improved method".

// include dispatch

struct Params {
  quads: u32,
}

struct Step {
  mean_weight: f32,
}

struct Tally {
  loss_sum: f32,
  correct: u32,
  count: u32,
  bad_step: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> tally: Tally;
@group(0) @binding(3) var<storage, read> values: array<vec4f>;
@group(0) @binding(4) var<storage, read> mean: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> variance: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  if (tally.bad_step != 0xffffffffu) {
    return;
  }
  let delta = read_values(i) - read_mean(i);
  let moved = (1.0 - step.mean_weight) * (read_variance(i) + step.mean_weight * delta * delta);
  write_variance(i, select(moved, vec4f(0.0), step.mean_weight == 1.0));
}
