// The logistic function 1 / (1 + exp(-z)) and its derivative. Beyond 80 both are 0 or 1 in f32 as good as exactly, and
// exp(80) is still finite: WGSL leaves open what becomes of infinities. 1 - sigmoid(z) would lose the derivative's
// small values, so it has an expression of its own.

fn sigmoid(z: vec4f) -> vec4f {
  return vec4f(1.0) / (vec4f(1.0) + exp(-clamp(z, vec4f(-80.0), vec4f(80.0))));
}

fn sigmoid_slope(z: vec4f) -> vec4f {
  let tail = exp(-min(abs(z), vec4f(80.0)));
  let whole = vec4f(1.0) + tail;
  return tail / (whole * whole);
}
