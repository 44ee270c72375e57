// Running mean of every parameter over the steps of training: mean += (value - mean) * step.mean_weight. With n the
// number of values in the mean, this one counted, mean_weight = 1 / n gives their mean, and (1 - d) / (1 - d^n) the
// exponential one of decay d without a bias towards its start (as Adam's moments are corrected). With mean_weight = 1 what was there before does not enter, not
// even where 0 times it is not 0. values, mean (quads).
// One invocation updates one quad. Nothing changes once a loss or value was not finite.
// Source: Welford 1962; the average of SGD's iterates: Izmailov et al. 2018, arXiv 1803.05407; Kingma and Ba 2015.

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
