// Updates the running statistics of batch normalisation after a training pass, as PyTorch does:
//
//   running = (1 - momentum) * running + momentum * batch      (the batch's variance times rows / (rows - 1))
//
// A term whose share is zero (momentum 0 or 1) does not enter, even if it is not finite. A result that is not
// finite is noted in the tally as 2 step.index + 1, like other values.
// Shapes: batch (quads); running, the quads from params.offset of the statistics arena. One invocation computes one
// quad. Dispatched by src/model/layers/batchnorm2d.ts.

// include dispatch
// include math/finite

struct Params {
  quads: u32,
  offset: u32,
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
@group(0) @binding(2) var<storage, read> batch: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> running: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> tally: Tally;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let old = select(read_running(params.offset + i), vec4f(0.0), params.momentum == 1.0);
  let new_value = select(read_batch(i) * params.correction, vec4f(0.0), params.momentum == 0.0);
  let updated = (1.0 - params.momentum) * old + params.momentum * new_value;
  write_running(params.offset + i, updated);
  if (!all_finite(updated)) {
    atomicMin(&tally.bad_step, 2u * step.index + 1u);
  }
}
