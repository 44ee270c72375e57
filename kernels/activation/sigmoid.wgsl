// Sigmoid: 1 / (1 + exp(-x)). NaN passes.

struct Params {
  quads: u32,
  channel_quads: u32,
  last_lanes: u32,
}

// include activation/logistic
// include math/maximum

fn activate(x: vec4f) -> vec4f {
  return nan_or(x, sigmoid(x));
}

fn slope(x: vec4f) -> vec4f {
  return sigmoid_slope(x);
}
