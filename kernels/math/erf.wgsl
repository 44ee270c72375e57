// erf(x) = 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, within 1e-6. Below 1 it is the Taylor series
// of 12 terms (relative error below 1e-7), above 1 the formula 7.1.26 of Abramowitz and Stegun (absolute error
// 1.5e-7). Above 6 it is 1 in f32. This file is part of kernels.

fn erf_series(x: vec4f) -> vec4f {
  let square = x * x;
  var term = x;
  var sum = x;
  for (var n = 1u; n < 12u; n++) {
    term *= -square / f32(n);
    sum += term / f32(2u * n + 1u);
  }
  return 1.1283791670955126 * sum;
}

fn erf_tail(x: vec4f) -> vec4f {
  let t = vec4f(1.0) / (vec4f(1.0) + 0.3275911 * x);
  let polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return vec4f(1.0) - polynomial * exp(-x * x);
}

fn erf(x: vec4f) -> vec4f {
  let size = min(abs(x), vec4f(6.0));
  return sign(x) * select(erf_tail(size), erf_series(size), size < vec4f(1.0));
}
