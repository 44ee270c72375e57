// Lines of a tensor, one behind the other, of which a run of channels is taken:
//
//   out[first_out + i, c] = lines[line(i), first_channel + c]  for c < channels and i < count, 0 in the padding
//   line(i) = positions[i] where SAMPLED, else first_line + i
//
// added to what out holds where ACCUMULATE.
// What the dense network gives at the sampled positions, which is all that is kept of it, and the share that a group of a
// convolution has in its input and output. lines (lines, in_quads), out (lines, out_quads), both in quads. One invocation
// computes one quad.

// include dispatch

override SAMPLED: bool = false;
override ACCUMULATE: bool = false;

struct Params {
  in_quads: u32,
  out_quads: u32,
  first_channel: u32,
  channels: u32,
}

struct Step {
  count: u32,
  first_line: u32,
  first_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> lines: array<vec4f>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;

fn channel_at(start: u32, channel: u32) -> f32 {
  let is_there = channel < params.channels;
  let place = params.first_channel + select(0u, channel, is_there);
  let quad = read_lines(start + place / 4u);
  return select(0.0, quad[place % 4u], is_there);
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let index = invocation_index(invocation, 64u);
  let i = index / params.out_quads;
  if (i >= step.count) {
    return;
  }
  let quad = index - i * params.out_quads;
  var line = step.first_line + i;
  if (SAMPLED) {
    line = positions[i];
  }
  let start = line * params.in_quads;
  let channel = 4u * quad;
  let place = (step.first_out + i) * params.out_quads + quad;
  var values = vec4f(
    channel_at(start, channel),
    channel_at(start, channel + 1u),
    channel_at(start, channel + 2u),
    channel_at(start, channel + 3u),
  );
  if (ACCUMULATE) {
    values += read_out(place);
  }
  write_out(place, values);
}
