// Updates the running statistics of batch normalisation after a training pass, as PyTorch does:
//
//   running = (1 - momentum) * running + momentum * batch      (the batch's variance times rows / (rows - 1))
//
// A term whose share is zero (momentum 0 or 1) does not enter, even if it is not finite. A result that is not
// finite is noted in the tally as 2 step.index + 1, like other values. It is an operation of reduce/merge_moments.wgsl.
// Shapes: running, the quads from params.running_mean and params.running_variance of the statistics arena. Dispatched
// by src/model/layers/batchnorm2d.ts.

// include math/finite

struct Params {
  rows: u32,
  quads: u32,
  chunks: u32,
  chunk_rows: u32,
  lanes: u32,
  running_mean: u32,
  running_variance: u32,
  momentum: f32,
  correction: f32,
}

struct Step {
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
@group(0) @binding(2) var<storage, read> moments: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> variance: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> running: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> tally: Tally;

fn update_one(at: u32, batch: vec4f) {
  let old = select(read_running(at), vec4f(0.0), params.momentum == 1.0);
  let new_value = select(batch, vec4f(0.0), params.momentum == 0.0);
  let updated = (1.0 - params.momentum) * old + params.momentum * new_value;
  write_running(at, updated);
  if (!all_finite(updated)) {
    atomicMin(&tally.bad_step, 2u * step.index + 1u);
  }
}

fn update(quad: u32, batch_mean: vec4f, batch_variance: vec4f) {
  update_one(params.running_mean + quad, batch_mean);
  update_one(params.running_variance + quad, batch_variance * params.correction);
}
