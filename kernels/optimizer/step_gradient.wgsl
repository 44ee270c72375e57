// The gradient that an optimizer steps along, included by the optimizers: L1's share, clipping and the mask.
//
//   g = mask * clip(scale * (gradient + l1 * sign(value)))        l1 for the first params.decayed_quads quads alone
//
// with CLIP_NORM scale = gradient_scale[0] (optimizer/clip_norm.wgsl), else 1, and with CLIP_VALUE clip to
// [-params.clip_value, params.clip_value], as torch's clip_grad_norm_ and clip_grad_value_ do before a step. NaN stays
// NaN. The sign of 0 is 0. Also what all optimizers share of the tally: a step's own bad values, which are noted as
// 2 index + 1 while it runs, do not freeze it; a bad loss of the step (2 index) and all that came before do.

override CLIP_NORM: bool = false;
override CLIP_VALUE: bool = false;

fn step_gradient(i: u32, value: vec4f, keep: vec4f) -> vec4f {
  var gradient = read_gradients(i);
  if (i < params.decayed_quads) {
    gradient += params.l1 * sign(value);
  }
  if (CLIP_NORM) {
    gradient *= gradient_scale[0];
  }
  if (CLIP_VALUE) {
    let most = vec4f(params.clip_value);
    gradient = select(gradient, most, gradient > most);
    gradient = select(gradient, -most, gradient < -most);
  }
  return gradient * keep;
}

fn is_frozen() -> bool {
  return atomicLoad(&tally.bad_step) <= 2u * step.index;
}

// Notes the step as bad where a value is NaN or infinite (bits tested, since compilers may assume finite floats).
fn note_value(value: vec4f) {
  let exponents = bitcast<vec4u>(value) & vec4u(0x7f800000u);
  if (any(exponents == vec4u(0x7f800000u))) {
    atomicMin(&tally.bad_step, 2u * step.index + 1u);
  }
}
