// Tanh: 2 sigmoid(2 x) - 1, whose derivative is 4 sigmoid'(2 x). Near 0, where that difference loses digits, it is
// x - x^3 / 3. WGSL's own tanh may be wrong by 1e-5. NaN passes.

struct Params {
  quads: u32,
}

// include activation/logistic
// include math/maximum

// 2 x, of which only the sign counts from 80 on.
fn doubled(x: vec4f) -> vec4f {
  return 2.0 * clamp(x, vec4f(-40.0), vec4f(40.0));
}

fn activate(x: vec4f) -> vec4f {
  let whole = 2.0 * sigmoid(doubled(x)) - 1.0;
  return nan_or(x, select(whole, x - x * x * x / 3.0, abs(x) < vec4f(0.01)));
}

fn slope(x: vec4f) -> vec4f {
  return 4.0 * sigmoid_slope(doubled(x));
}
