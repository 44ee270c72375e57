// Hard swish: x min(max(x + 3, 0), 6) / 6. Its derivative is x / 3 + 1 / 2 between -3 and 3, and 0 or 1 at them and
// beyond, as in PyTorch.
// Source: Howard et al. 2019, arXiv 1905.02244.

struct Params {
  quads: u32,
}

fn activate(x: vec4f) -> vec4f {
  return x * (clamp(x + 3.0, vec4f(0.0), vec4f(6.0)) / 6.0);
}

fn slope(x: vec4f) -> vec4f {
  let inside = x / 3.0 + 0.5;
  return select(select(inside, vec4f(1.0), x >= vec4f(3.0)), vec4f(0.0), x <= vec4f(-3.0));
}
