// Stochastic gradient descent with momentum, Nesterov's form, L2 weight decay and mask, as in PyTorch's SGD:
//
//   g = gradient + weight_decay * value;   v = momentum * v + g  (v = g at the first step)
//   value = mask * (value - learning_rate * (NESTEROV ? g + momentum * v : MOMENTUM ? v : g))
//
// so a removed weight (mask 0) stays removed. Nothing changes once a loss was not finite (tally.bad_step).
// values, gradients, velocity, mask (quads). One invocation updates one quad. velocity starts at zero, which gives
// PyTorch's first step. Source: Sutskever et al. 2013; PyTorch torch.optim.SGD (dampening 0).

struct Params {
  quads: u32,
  momentum: f32,
  weight_decay: f32,
}

struct Step {
  learning_rate: f32,
}

struct Tally {
  loss_sum: f32,
  correct: u32,
  count: u32,
  bad_step: u32,
}

override NESTEROV: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> tally: Tally;
@group(0) @binding(3) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(4) var<storage, read> mask: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> velocity: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> values: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.quads) {
    return;
  }
  if (tally.bad_step != 0xffffffffu) {
    return;
  }
  let value = read_values(i);
  let keep = read_mask(i);
  let gradient = (read_gradients(i) + params.weight_decay * value) * keep;
  let moment = params.momentum * read_velocity(i) + gradient;
  let direction = select(moment, gradient + params.momentum * moment, NESTEROV);
  write_velocity(i, moment);
  write_values(i, keep * (value - step.learning_rate * direction));
}
