// Mish: x tanh(log(1 + exp(x))) = x r(e), with e = exp(x) and r(e) = (e^2 + 2 e) / (e^2 + 2 e + 2). The derivative is
// r + x e r'(e), with r'(e) = 4 (e + 1) / (e^2 + 2 e + 2)^2. From 20 on r is 1 within f32, and e^4 is still finite.
// Source: Misra 2019, arXiv 1908.08681.

struct Params {
  quads: u32,
}

fn exponential(x: vec4f) -> vec4f {
  return exp(clamp(x, vec4f(-80.0), vec4f(20.0)));
}

fn activate(x: vec4f) -> vec4f {
  let e = exponential(x);
  let s = e * (e + 2.0);
  // Far below 0, x times what the clamp leaves would not be 0. NaN passes.
  return select(x, vec4f(-80.0), x < vec4f(-80.0)) * (s / (s + 2.0));
}

fn slope(x: vec4f) -> vec4f {
  let e = exponential(x);
  let s = e * (e + 2.0);
  // Beyond the clamp the second term is 0, and x times its remains would not be.
  let z = clamp(x, vec4f(-80.0), vec4f(20.0));
  return s / (s + 2.0) + z * (4.0 * e * (e + 1.0) / ((s + 2.0) * (s + 2.0)));
}
