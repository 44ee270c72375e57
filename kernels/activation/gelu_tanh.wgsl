// GELU by tanh: x / 2 (1 + tanh(u)) = x sigmoid(2 u), with u = sqrt(2 / pi) (x + 0.044715 x^3). The derivative is
// sigmoid(2 u) + x sigmoid'(2 u) 2 u'. WGSL's own tanh may be wrong by 1e-5.
// Source: Hendrycks and Gimpel 2016, arXiv 1606.08415.

struct Params {
  quads: u32,
}

// include activation/logistic

// 2 u, which beyond 10 only a sigmoid that is 0 or 1 reads.
fn argument(x: vec4f) -> vec4f {
  let z = clamp(x, vec4f(-10.0), vec4f(10.0));
  return 1.5957691216057308 * z * (1.0 + 0.044715 * z * z);
}

fn activate(x: vec4f) -> vec4f {
  return x * sigmoid(argument(x));
}

fn slope(x: vec4f) -> vec4f {
  let z = clamp(x, vec4f(-10.0), vec4f(10.0));
  let argument_slope = 1.5957691216057308 * (1.0 + 0.134145 * z * z);
  return sigmoid(argument(z)) + z * sigmoid_slope(argument(z)) * argument_slope;
}
