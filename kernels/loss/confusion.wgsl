// Confusion counts and kept predictions: counts[label, prediction] += 1, kept[step.offset + row] = prediction,
// for the step.count rows that are real. counts (classes, classes), kept (examples). One invocation a row;
// integer additions, so their order does not matter.

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
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> kept: array<u32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let row = invocation_index(invocation, 64u);
  if (row >= params.rows || row >= step.count) {
    return;
  }
  atomicAdd(&counts[labels[row] * params.classes + predictions[row]], 1u);
  kept[step.offset + row] = predictions[row];
}
