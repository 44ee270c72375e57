// Gathers the numbers that a smaller model keeps from an arena of the larger model, for all its parameters at once:
//
//   out[i] = arena[sources[i] - first]    if first <= sources[i] < first + count; else out[i] stays
//
// The arena is bound one window at a time: count floats from float first on. Padding has the source 0xffffffff,
// which lies in no window, so it keeps the zero that out has at first.
// Shapes: sources and out (4 x quads); arena (count). One invocation moves one quad. Dispatched by
// src/prune/compact/compact_network.ts.

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
