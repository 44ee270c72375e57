// Maxima that pass NaN on, as PyTorch's do: WGSL's max may drop it (max(NaN, 0) is 0 on GPUs), and a layer behind would
// then compute sound numbers from an overflow. NaN is found by its bits. This file is part of kernels.

fn is_nan(quad: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(quad) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}

fn larger(a: vec4f, b: vec4f) -> vec4f {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}

fn rectified(value: vec4f) -> vec4f {
  return select(max(value, vec4f(0.0)), value, is_nan(value));
}

// A result that would drop the NaN it is computed from.
fn nan_or(x: vec4f, result: vec4f) -> vec4f {
  return select(result, x, is_nan(x));
}
