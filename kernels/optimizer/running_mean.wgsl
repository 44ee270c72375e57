// Updates the running mean of every parameter over the steps of training:
//
//   mean += (value - mean) * step.mean_weight
//
// If the mean is over n values, this one included, mean_weight = 1 / n gives their mean. mean_weight = (1 - d) / (1
// - d^n) gives the exponential mean of decay d, without a bias towards its start. With mean_weight = 1 the old mean
// does not enter, even if it is not finite. Nothing changes after a bad step.
// Shapes: values and mean (quads). One invocation updates one quad. Dispatched by src/plan/optimizer.ts.
// Source: Welford 1962; Izmailov et al. 2018, arXiv 1803.05407 (averaged iterates); Kingma and Ba 2015 (the
// correction).

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
@group(0) @binding(4) var<storage, read_write> mean: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  if (tally.bad_step != 0xffffffffu) {
    return;
  }
  let old = select(read_mean(i), vec4f(0.0), step.mean_weight == 1.0);
  write_mean(i, old + (read_values(i) - old) * step.mean_weight);
}
