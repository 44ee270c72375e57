// Computes the gradient that an optimizer steps along. This file is part of the optimizers.
//
//   g = mask * clip(scale * (gradient + l1 * sign(value)))        (l1 only for the first params.decayed_quads quads)
//
// With CLIP_NORM the scale is gradient_scale[0] (optimizer/clip_norm.wgsl), else 1. With CLIP_VALUE, clip limits to
// [-params.clip_value, params.clip_value]. Both are as torch's clip_grad_norm_ and clip_grad_value_ before a step.
// An infinite gradient is clipped by value. Other gradients that are not finite are noted, because WGSL leaves open
// what clipping makes of NaN. The sign of 0 is 0.
// The file also has what optimizers share of the tally. A step's own bad values are noted as 2 index + 1 while it
// runs, and do not freeze it. A bad loss of the step (2 index), and everything bad before it, does.

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
