// Clip: min(max(x, low), high). Its derivative is 1 between the bounds, and 0 at them and beyond, as in PyTorch. NaN
// passes.

struct Params {
  quads: u32,
  channel_quads: u32,
  last_lanes: u32,
  low: f32,
  high: f32,
}

// include math/maximum

fn activate(x: vec4f) -> vec4f {
  return nan_or(x, clamp(x, vec4f(params.low), vec4f(params.high)));
}

fn slope(x: vec4f) -> vec4f {
  let is_inside = (x > vec4f(params.low)) & (x < vec4f(params.high));
  return select(vec4f(0.0), vec4f(1.0), is_inside);
}
