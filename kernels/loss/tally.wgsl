// Adds the losses and hits of a step to the running tally, which the host reads once every many steps:
//
//   loss_sum += sum of losses;  correct += predictions that equal labels;  count += step.count
//
// UNLABELLED: correct stays, because there are no labels.
// The tally also notes the first bad step. A loss, or a sum of losses, that is not finite is noted as 2 step.index.
// Kernels that store other values note those as 2 step.index + 1. After that, optimizers change nothing.
// Shapes: losses (words), predictions and labels (rows). One workgroup runs. Each invocation adds every 64th row in
// order; a fixed tree adds the 64 sums. Dispatched by src/plan/loss.ts.

// include math/finite

struct Params {
  rows: u32,
}

struct Step {
  count: u32,
  index: u32,
}

struct Tally {
  loss_sum: f32,
  correct: u32,
  count: u32,
  bad_step: u32,
}

override UNLABELLED: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> losses: array<u32>;
@group(0) @binding(3) var<storage, read> predictions: array<u32>;
@group(0) @binding(4) var<storage, read> labels: array<u32>;
@group(0) @binding(5) var<storage, read_write> tally: Tally;

var<workgroup> loss_sums: array<f32, 64>;
var<workgroup> hit_sums: array<u32, 64>;
var<workgroup> bad_rows: atomic<u32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var loss = 0.0;
  var hits = 0u;
  for (var row = lane; row < min(params.rows, step.count); row += 64u) {
    if (!is_finite_word(losses[row])) {
      atomicAdd(&bad_rows, 1u);
    }
    loss += word_or_zero(losses[row]);
    if (!UNLABELLED) {
      hits += select(0u, 1u, predictions[row] == labels[row]);
    }
  }
  loss_sums[lane] = loss;
  hit_sums[lane] = hits;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (lane < half) {
      loss_sums[lane] += loss_sums[lane + half];
      hit_sums[lane] += hit_sums[lane + half];
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    let loss_sum = tally.loss_sum + loss_sums[0];
    if (atomicLoad(&bad_rows) > 0u || !is_finite(loss_sum)) {
      tally.bad_step = min(tally.bad_step, 2u * step.index);
    }
    tally.loss_sum = loss_sum;
    tally.correct += hit_sums[0];
    tally.count += step.count;
  }
}
