// Updates the running statistics of batch normalisation to their mean over the batches of a recalibration:
//
//   running = (1 - step.batch_weight) * running + step.batch_weight * batch      (the variance times rows / (rows - 1))
//
// With batch_weight = 1 / k at batch k this is the mean of all batches, whatever was there before (PyTorch's
// momentum = None). It is an operation of reduce/merge_moments.wgsl.
// Shapes: running, the quads from params.running_mean and params.running_variance of the statistics arena. Dispatched
// by src/plan/forward.ts.
// Source: Izmailov et al. 2018, arXiv 1803.05407, section 3.2; torch.optim.swa_utils.update_bn.

struct Params {
  rows: u32,
  quads: u32,
  chunks: u32,
  chunk_rows: u32,
  lanes: u32,
  running_mean: u32,
  running_variance: u32,
  correction: f32,
}

struct Step {
  batch_weight: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> moments: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> variance: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> running: array<vec4f>;

fn update_one(at: u32, batch: vec4f) {
  // 0 times what was there is not 0 where that is not finite.
  let old = select(read_running(at), vec4f(0.0), step.batch_weight == 1.0);
  write_running(at, (1.0 - step.batch_weight) * old + step.batch_weight * batch);
}

fn update(quad: u32, batch_mean: vec4f, batch_variance: vec4f) {
  update_one(params.running_mean + quad, batch_mean);
  update_one(params.running_variance + quad, batch_variance * params.correction);
}
