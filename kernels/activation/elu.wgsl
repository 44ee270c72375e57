// ELU: x if x > 0, else alpha (exp(x) - 1). Its derivative is 1 or alpha exp(x); at 0 it is alpha, as in PyTorch. From
// -80 on exp(x) is 0 beside 1 within f32; WGSL leaves open what becomes of infinities. Near 0, where exp(x) - 1 loses digits,
// it is x + x^2 / 2 + x^3 / 6. NaN passes.
// Source: Clevert et al. 2015, arXiv 1511.07289.

struct Params {
  quads: u32,
  alpha: f32,
}

// include math/maximum

fn tail(x: vec4f) -> vec4f {
  return exp(clamp(x, vec4f(-80.0), vec4f(0.0)));
}

fn activate(x: vec4f) -> vec4f {
  let near = x + x * x * (0.5 + x / 6.0);
  let below = select(tail(x) - 1.0, near, abs(x) < vec4f(0.01));
  return nan_or(x, select(params.alpha * below, x, x > vec4f(0.0)));
}

fn slope(x: vec4f) -> vec4f {
  return select(params.alpha * tail(x), vec4f(1.0), x > vec4f(0.0));
}
