// SiLU, or swish: x * sigmoid(x). Its derivative is sigmoid(x) + x sigmoid'(x).
// Source: Hendrycks and Gimpel 2016, arXiv 1606.08415; Ramachandran et al. 2017, arXiv 1710.05941.

struct Params {
  quads: u32,
}

// include activation/logistic

fn activate(x: vec4f) -> vec4f {
  return x * sigmoid(x);
}

fn slope(x: vec4f) -> vec4f {
  // Beyond 80 the derivative is 0 or 1, and x times a floor of sigmoid' would not be.
  let z = clamp(x, vec4f(-80.0), vec4f(80.0));
  return sigmoid(z) + z * sigmoid_slope(z);
}
