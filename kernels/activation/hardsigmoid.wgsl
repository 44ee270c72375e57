// Hard sigmoid: min(max(alpha x + beta, 0), 1). Its derivative is alpha where that lies between 0 and 1, else 0. NaN
// passes.

struct Params {
  quads: u32,
  channel_quads: u32,
  last_lanes: u32,
  alpha: f32,
  beta: f32,
}

// include math/maximum

fn line(x: vec4f) -> vec4f {
  return params.alpha * x + params.beta;
}

fn activate(x: vec4f) -> vec4f {
  return nan_or(x, clamp(line(x), vec4f(0.0), vec4f(1.0)));
}

fn slope(x: vec4f) -> vec4f {
  let is_inside = (line(x) > vec4f(0.0)) & (line(x) < vec4f(1.0));
  return select(vec4f(0.0), vec4f(params.alpha), is_inside);
}
