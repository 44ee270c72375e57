// Gathers lines of a tensor one behind the other, with a run of their channels:
//
//   out[first_out + i, c] = lines[line(i), first_channel + c]  for c < channels and i < count, 0 in the padding
//   line(i) = positions[i] with SAMPLED, else first_line + i
//
// With ACCUMULATE the result is added to out. The kernel takes the outputs of the dense network at the sampled
// positions, which are all that is kept of them, and the input and output of one group of a convolution.
// Shapes: lines (lines, in_quads); out (lines, out_quads). One invocation computes one quad. Dispatched by
// src/prune/refit/gather_rows.ts.

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
