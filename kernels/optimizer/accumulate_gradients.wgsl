// Adds a batch's gradients to those of the earlier batches of the same step:
//
//   gradient_sum = (step.is_first ? 0 : gradient_sum) + params.share * gradients
//
// With share = 1 / batches the sum is the gradient of the mean loss over all examples of the step.
// Shapes: gradients and gradient_sum (quads). One invocation computes one quad. Dispatched by
// src/plan/optimizer.ts.

// include dispatch

struct Params {
  quads: u32,
  share: f32,
}

struct Step {
  is_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradient_sum: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let old = select(read_gradient_sum(i), vec4f(0.0), step.is_first != 0u);
  write_gradient_sum(i, old + params.share * read_gradients(i));
}
