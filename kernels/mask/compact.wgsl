// Gathers the numbers that a smaller model keeps out of an arena of the larger one, over all its parameters at once:
//
//   out[i] = arena[sources[i]], or 0 where sources[i] = 0xffffffff (padding)
//
// sources and out: 4 x quads numbers, a quad at a time; arena: floats. One invocation moves one quad.

// include dispatch

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sources: array<vec4u>;
@group(0) @binding(2) var<storage, read> arena: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

fn number_at(source: u32) -> f32 {
  if (source == 0xffffffffu) {
    return 0.0;
  }
  return arena[source];
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let wanted = sources[i];
  write_out(i, vec4f(number_at(wanted.x), number_at(wanted.y), number_at(wanted.z), number_at(wanted.w)));
}
