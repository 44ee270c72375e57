// The gradient that an optimizer steps along, included by the optimizers: L1's share, clipping and the mask.
//
//   g = mask * clip(scale * (gradient + l1 * sign(value)))        l1 for the first params.decayed_quads quads alone
//
// with CLIP_NORM scale = gradient_scale[0] (optimizer/clip_norm.wgsl), else 1, and with CLIP_VALUE clip to
// [-params.clip_value, params.clip_value], as torch's clip_grad_norm_ and clip_grad_value_ do before a step: an
// infinite gradient is clipped by value, any other that is not finite is noted, since what clipping makes of NaN is open.
// The sign of 0 is 0. Also what all optimizers share of the tally: a step's own bad values, which are noted as
// 2 index + 1 while it runs, do not freeze it; a bad loss of the step (2 index) and all that came before do.

// include math/finite

override CLIP_NORM: bool = false;
override CLIP_VALUE: bool = false;

fn step_gradient(i: u32, value: vec4f, keep: vec4f) -> vec4f {
  var gradient = read_gradients(i);
  if (any_nan(gradient) || (!CLIP_VALUE && !all_finite(gradient))) {
    note_bad();
  }
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

fn note_bad() {
  atomicMin(&tally.bad_step, 2u * step.index + 1u);
}

// Notes the step as bad where a number that is stored is not finite.
fn note_stored(quad: vec4f) {
  if (!all_finite(quad)) {
    note_bad();
  }
}
