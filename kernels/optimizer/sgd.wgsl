// Makes a step of stochastic gradient descent with momentum, with L1, L2 weight decay, clipping and mask, as in
// PyTorch:
//
//   g = clipped gradient + weight_decay * value    (only the first decayed_quads quads decay)
//   v = momentum * v + g
//   value = mask * (value - learning_rate * (NESTEROV ? g + momentum * v : MOMENTUM ? v : g))
//
// A removed weight (mask 0) therefore stays removed. The clipped gradient is that of optimizer/step_gradient.wgsl.
// The velocity v starts at zero, which gives PyTorch's first step.
// Nothing changes after a step whose loss or value was not finite (tally.bad_step). A gradient, value or velocity
// that is not finite is noted there.
// Shapes: values, gradients, velocity and mask (quads). One invocation updates one quad. Dispatched by
// src/plan/optimizer.ts.
// Source: Sutskever et al. 2013; torch.optim.SGD with dampening 0.

// include dispatch

struct Params {
  quads: u32,
  decayed_quads: u32,
  momentum: f32,
  weight_decay: f32,
  l1: f32,
  clip_value: f32,
}

struct Step {
  learning_rate: f32,
  index: u32,
}

struct Tally {
  loss_sum: f32,
  correct: u32,
  count: u32,
  bad_step: atomic<u32>,
}

override NESTEROV: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read_write> tally: Tally;
@group(0) @binding(3) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(4) var<storage, read> gradient_scale: array<f32>;
@group(0) @binding(5) var<storage, read> mask: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> velocity: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> values: array<vec4f>;

// include optimizer/step_gradient

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  if (is_frozen()) {
    return;
  }
  let value = read_values(i);
  let keep = read_mask(i);
  var gradient = step_gradient(i, value, keep);
  if (i < params.decayed_quads) {
    gradient += params.weight_decay * value * keep;
  }
  let moment = params.momentum * read_velocity(i) + gradient;
  let direction = select(moment, gradient + params.momentum * moment, NESTEROV);
  let updated = keep * (value - step.learning_rate * direction);
  write_velocity(i, moment);
  write_values(i, updated);
  note_stored(updated);
  note_stored(moment);
}
