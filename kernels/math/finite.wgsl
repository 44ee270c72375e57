// Tests whether numbers are finite by their bits: an exponent of all ones is an infinity or NaN. No other test is
// safe. WGSL lets compilers assume that neither occurs, so comparisons, min, max and clamp may give anything, such
// as max(NaN, 0) = 0. This file is part of kernels.

const EXPONENT = 0x7f800000u;

// The word that stands for a number which is not finite; kernels write it as an integer, since a float might be changed.
const NOT_FINITE = 0x7fc00000u;

fn is_finite_word(word: u32) -> bool {
  return (word & EXPONENT) != EXPONENT;
}

fn is_finite(value: f32) -> bool {
  return is_finite_word(bitcast<u32>(value));
}

fn all_finite(quad: vec4f) -> bool {
  return all((bitcast<vec4u>(quad) & vec4u(EXPONENT)) != vec4u(EXPONENT));
}

fn any_nan(quad: vec4f) -> bool {
  return any((bitcast<vec4u>(quad) & vec4u(0x7fffffffu)) > vec4u(EXPONENT));
}

// A number's word, or the one for what is not finite where the number, or what it was made of, is not sound.
fn finite_word(value: f32, is_sound: bool) -> u32 {
  return select(NOT_FINITE, bitcast<u32>(value), is_sound && is_finite(value));
}

// A number, or 0 for one that is not finite. What has been marked enters no arithmetic, which would be free to lose it, and to
// give a number that looks sound.
fn finite_or_zero(value: f32) -> f32 {
  return select(0.0, value, is_finite(value));
}

fn quad_or_zero(quad: vec4f) -> vec4f {
  return select(vec4f(0.0), quad, (bitcast<vec4u>(quad) & vec4u(EXPONENT)) != vec4u(EXPONENT));
}

// The number of a word, or 0 for one that is not finite.
fn word_or_zero(word: u32) -> f32 {
  return bitcast<f32>(select(0u, word, is_finite_word(word)));
}
