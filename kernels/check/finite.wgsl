// Looks for numbers that are not finite, and with NOT_NEGATIVE also for numbers below zero: found[params.part] = 1
// if there is one among the quads from params.offset.
//
// The arena is read as integers, because compilers may assume that floats are finite.
// Shapes: numbers (quads); found (parts). One invocation reads one quad. The result does not depend on their order.
// Dispatched by src/gpu/finite.ts.

// include dispatch
// include math/finite

struct Params {
  quads: u32,
  offset: u32,
  part: u32,
}

override NOT_NEGATIVE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> numbers: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> found: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let words = numbers[params.offset + i];
  var is_bad = (words & vec4u(EXPONENT)) == vec4u(EXPONENT);
  if (NOT_NEGATIVE) {
    // -0 is not below zero.
    is_bad = is_bad | (words > vec4u(0x80000000u));
  }
  if (any(is_bad)) {
    atomicStore(&found[params.part], 1u);
  }
}
