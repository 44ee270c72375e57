// Counts the confusion matrix and keeps the result of each example, for the step.count rows that are real:
//
//   counts[label, prediction] += 1
//   kept_predictions[step.offset + row] = prediction;  kept_losses[step.offset + row] = loss
//
// Shapes: counts (classes, classes); kept_predictions and kept_losses (examples). Losses are words. One invocation
// handles one row. The additions are of integers, so their order does not matter. Dispatched by src/plan/loss.ts.

// include dispatch

struct Params {
  rows: u32,
  classes: u32,
}

struct Step {
  count: u32,
  offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> predictions: array<u32>;
@group(0) @binding(3) var<storage, read> labels: array<u32>;
@group(0) @binding(4) var<storage, read> losses: array<u32>;
@group(0) @binding(5) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(6) var<storage, read_write> kept_predictions: array<u32>;
@group(0) @binding(7) var<storage, read_write> kept_losses: array<u32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let row = invocation_index(invocation, 64u);
  if (row >= params.rows || row >= step.count) {
    return;
  }
  atomicAdd(&counts[labels[row] * params.classes + predictions[row]], 1u);
  kept_predictions[step.offset + row] = predictions[row];
  kept_losses[step.offset + row] = losses[row];
}
