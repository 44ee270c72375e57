// Adds partial sums in a fixed order, so that two runs give the same bits:
//
//   out[offset + i] = scale * sum over splits of sums[split, first + i]        (with ACCUMULATE, added to out)
//
// Shapes: sums (splits, stride) in quads, of which the quads from first on are added; out, the quads from
// params.offset. One invocation computes one quad. Dispatched by src/kernels/reduce.ts.

// include dispatch

struct Params {
  quads: u32,
  splits: u32,
  offset: u32,
  scale: f32,
  first: u32,
  stride: u32,
}

override ACCUMULATE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  var sum = vec4f(0.0);
  for (var split = 0u; split < params.splits; split++) {
    sum += read_sums(split * params.stride + params.first + i);
  }
  sum *= params.scale;
  if (ACCUMULATE) {
    sum += read_out(params.offset + i);
  }
  write_out(params.offset + i, sum);
}
