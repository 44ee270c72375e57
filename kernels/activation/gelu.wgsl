// GELU: x P(X <= x) = x / 2 (1 + erf(x / sqrt 2)), where X is standard normal. The derivative is P(X <= x) + x
// p(x), with p(x) = exp(-x^2 / 2) / sqrt(2 pi).
// Source: Hendrycks and Gimpel 2016, arXiv 1606.08415.

struct Params {
  quads: u32,
}

// include math/erf

fn probability_below(x: vec4f) -> vec4f {
  return 0.5 + 0.5 * erf(0.7071067811865476 * x);
}

fn activate(x: vec4f) -> vec4f {
  return x * probability_below(x);
}

fn slope(x: vec4f) -> vec4f {
  // Beyond 10 the density is 0 in f32 as good as exactly, and x^2 stays finite.
  let z = clamp(x, vec4f(-10.0), vec4f(10.0));
  return probability_below(z) + 0.3989422804014327 * z * exp(-0.5 * z * z);
}
