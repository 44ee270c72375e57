// Gathers the numbers that a smaller model keeps out of an arena of the larger one, over all its parameters at once:
//
//   out[i] = arena[sources[i] - first] where first <= sources[i] < first + count; else it stays
//
// so that a window of the larger arena, its floats from first on, gives what lies in it. sources[i] = 0xffffffff for
// padding, which lies in none: out is zero before. sources and out: 4 x quads numbers, a quad at a time; arena: count
// floats. One invocation moves one quad.

// include dispatch

struct Params {
  quads: u32,
  first: u32,
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sources: array<vec4u>;
@group(0) @binding(2) var<storage, read> arena: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

fn number_at(source: u32, before: f32) -> f32 {
  let place = source - params.first;
  if (place >= params.count) {
    return before;
  }
  return arena[place];
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let wanted = sources[i];
  let before = read_out(i);
  write_out(
    i,
    vec4f(
      number_at(wanted.x, before.x),
      number_at(wanted.y, before.y),
      number_at(wanted.z, before.z),
      number_at(wanted.w, before.w),
    ),
  );
}
