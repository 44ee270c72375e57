// Adds partial sums in a fixed order, so that two runs give the same bits:
//
//   out[offset + i] = scale * sum over splits of sums[split, first + i]        (with ACCUMULATE, added to out)
//
// Shapes: sums (splits, stride) in quads, of which the quads from first on are added; out, the quads from
// params.offset. params.lanes invocations, a power of two, compute one quad: each adds every so manieth split in order,
// and reduce/add_lanes.wgsl adds these sums (SHARED, where there are more than one). Dispatched by src/kernels/reduce.ts.

// include reduce/add_lanes

struct Params {
  quads: u32,
  splits: u32,
  lanes: u32,
  offset: u32,
  scale: f32,
  first: u32,
  stride: u32,
}

override ACCUMULATE: bool = false;
override SHARED: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let width = 64u / params.lanes;
  let i = (group.y * groups.x + group.x) * width + lane % width;
  let own = lane / width;
  var sum = vec4f(0.0);
  if (i < params.quads) {
    for (var split = own; split < params.splits; split += params.lanes) {
      sum += read_sums(split * params.stride + params.first + i);
    }
  }
  if (SHARED) {
    sum = add_lanes(sum, lane, width, params.lanes);
  }
  if (i >= params.quads || own > 0u) {
    return;
  }
  sum *= params.scale;
  if (ACCUMULATE) {
    sum += read_out(params.offset + i);
  }
  write_out(params.offset + i, sum);
}
