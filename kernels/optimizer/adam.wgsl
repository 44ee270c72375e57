// Makes a step of Adam, or of AdamW (DECOUPLED), with L1, clipping and mask, as in PyTorch:
//
//   Adam: g = clipped gradient + weight_decay * value;   AdamW: g = clipped gradient, value *= 1 - learning_rate * weight_decay
//   m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
//   value = mask * (value - learning_rate / correction1 * m / (sqrt(v / correction2) + epsilon))
//
// At step t a correction is 1 - beta^t. Only the first decayed_quads quads decay. The clipped gradient is that of
// optimizer/step_gradient.wgsl.
// Nothing changes after a step whose loss or value was not finite (tally.bad_step). A gradient, value or moment
// that is not finite is noted there: without that, a second moment that overflows would freeze its value unnoticed.
// Shapes: values, gradients, first_moment (m), second_moment (v) and mask (quads). One invocation updates one quad.
// Dispatched by src/plan/optimizer.ts.
// Source: Kingma and Ba 2015, arXiv 1412.6980; Loshchilov and Hutter 2019, arXiv 1711.05101.

// include dispatch

struct Params {
  quads: u32,
  decayed_quads: u32,
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  weight_decay: f32,
  l1: f32,
  clip_value: f32,
}

struct Step {
  learning_rate: f32,
  correction1: f32,
  correction2: f32,
  index: u32,
}

struct Tally {
  loss_sum: f32,
  correct: u32,
  count: u32,
  bad_step: atomic<u32>,
}

override DECOUPLED: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read_write> tally: Tally;
@group(0) @binding(3) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(4) var<storage, read> gradient_scale: array<f32>;
@group(0) @binding(5) var<storage, read> mask: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> first_moment: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> second_moment: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> values: array<vec4f>;

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
  var value = read_values(i);
  let keep = read_mask(i);
  var gradient = step_gradient(i, value, keep);
  if (i < params.decayed_quads) {
    if (DECOUPLED) {
      value *= 1.0 - step.learning_rate * params.weight_decay;
    } else {
      gradient += params.weight_decay * value * keep;
    }
  }
  let first = params.beta1 * read_first_moment(i) + (1.0 - params.beta1) * gradient;
  let second = params.beta2 * read_second_moment(i) + (1.0 - params.beta2) * gradient * gradient;
  let size = sqrt(second / step.correction2) + vec4f(params.epsilon);
  let updated = keep * (value - step.learning_rate / step.correction1 * first / size);
  write_first_moment(i, first);
  write_second_moment(i, second);
  write_values(i, updated);
  note_stored(updated);
  note_stored(first);
  note_stored(second);
}
