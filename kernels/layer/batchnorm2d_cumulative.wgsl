// Updates the running statistics of batch normalisation to their mean over the batches of a recalibration:
//
//   running = (1 - step.batch_weight) * running + step.batch_weight * batch * correction
//
// With batch_weight = 1 / k at batch k this is the mean of all batches, whatever was there before (PyTorch's
// momentum = None). The correction is rows / (rows - 1) for the variance and 1 for the mean.
// Shapes: batch (quads); running, the quads from params.offset of the statistics arena. One invocation computes one
// quad. Dispatched by src/plan/forward.ts.
// Source: Izmailov et al. 2018, arXiv 1803.05407, section 3.2; torch.optim.swa_utils.update_bn.

// include dispatch

struct Params {
  quads: u32,
  offset: u32,
  correction: f32,
}

struct Step {
  batch_weight: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> batch: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> running: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  // 0 times what was there is not 0 where that is not finite.
  let old = select(read_running(params.offset + i), vec4f(0.0), step.batch_weight == 1.0);
  let kept = (1.0 - step.batch_weight) * old;
  write_running(params.offset + i, kept + step.batch_weight * read_batch(i) * params.correction);
}
