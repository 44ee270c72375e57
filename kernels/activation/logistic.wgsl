// The logistic function 1 / (1 + exp(-z)) and its derivative, for activations. From |z| = 80 on both are 0 or 1
// within f32, and exp(80) is still finite; WGSL leaves open what becomes of infinities. The derivative has an
// expression of its own, because 1 - sigmoid(z) would lose its small values.

fn sigmoid(z: vec4f) -> vec4f {
  return vec4f(1.0) / (vec4f(1.0) + exp(-clamp(z, vec4f(-80.0), vec4f(80.0))));
}

fn sigmoid_slope(z: vec4f) -> vec4f {
  let tail = exp(-min(abs(z), vec4f(80.0)));
  let whole = vec4f(1.0) + tail;
  return tail / (whole * whole);
}
