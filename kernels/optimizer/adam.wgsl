// Adam, and AdamW with DECOUPLED weight decay, with mask, as in PyTorch:
//
//   Adam: g = gradient + weight_decay * value;   AdamW: g = gradient, value *= 1 - learning_rate * weight_decay
//   m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
//   value = mask * (value - learning_rate / correction1 * m / (sqrt(v / correction2) + epsilon))
//
// with correction = 1 - beta^t of the step t, given a step. Nothing changes once a loss was not finite.
// values, gradients, velocity (m), second_moment (v), mask (quads). One invocation updates one quad.
// Source: Kingma and Ba 2015, arXiv 1412.6980; Loshchilov and Hutter 2019, arXiv 1711.05101.

struct Params {
  quads: u32,
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  weight_decay: f32,
}

struct Step {
  learning_rate: f32,
  correction1: f32,
  correction2: f32,
}

struct Tally {
  loss_sum: f32,
  correct: u32,
  count: u32,
  bad_step: u32,
}

override DECOUPLED: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> tally: Tally;
@group(0) @binding(3) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(4) var<storage, read> mask: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> velocity: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> second_moment: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> values: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.quads) {
    return;
  }
  if (tally.bad_step != 0xffffffffu) {
    return;
  }
  var value = read_values(i);
  let keep = read_mask(i);
  var gradient = read_gradients(i);
  if (DECOUPLED) {
    value *= 1.0 - step.learning_rate * params.weight_decay;
  } else {
    gradient += params.weight_decay * value;
  }
  gradient *= keep;
  let first = params.beta1 * read_velocity(i) + (1.0 - params.beta1) * gradient;
  let second = params.beta2 * read_second_moment(i) + (1.0 - params.beta2) * gradient * gradient;
  let size = sqrt(second / step.correction2) + vec4f(params.epsilon);
  write_velocity(i, first);
  write_second_moment(i, second);
  write_values(i, keep * (value - step.learning_rate / step.correction1 * first / size));
}
