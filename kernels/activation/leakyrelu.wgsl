// Leaky ReLU: x if x > 0, else negative_slope * x. Its derivative is 1 or negative_slope; at 0 it is
// negative_slope, as in PyTorch.
// Source: Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic models".

struct Params {
  quads: u32,
  negative_slope: f32,
}

fn activate(x: vec4f) -> vec4f {
  return select(params.negative_slope * x, x, x > vec4f(0.0));
}

fn slope(x: vec4f) -> vec4f {
  return select(vec4f(params.negative_slope), vec4f(1.0), x > vec4f(0.0));
}
