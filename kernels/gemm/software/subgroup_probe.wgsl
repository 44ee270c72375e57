// Shows whether subgroups work as the subgroup cores need them:
//
//   seen[group, lane] = (subgroup_size, subgroup_invocation_id, sums 0 .. 7)
//   sum l = sum over step < steps of (lane l's value), lane l's value = (8 group + l + 1) (step + 1)
//
// The broadcasts stand in a loop whose bound comes from params, as in the cores.
// Shapes: seen (groups, 8, 10). One workgroup should be one subgroup of 8. Each invocation writes what it saw.
// Dispatched by src/gpu/measure_subgroups.ts.

struct Params {
  steps: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> seen: array<u32>;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) id: u32,
) {
  var low = vec4f(0.0);
  var high = vec4f(0.0);
  for (var step = 0u; step < params.steps; step++) {
    let value = f32((8u * group.x + lane + 1u) * (step + 1u));
    low += vec4f(
      subgroupBroadcast(value, 0u),
      subgroupBroadcast(value, 1u),
      subgroupBroadcast(value, 2u),
      subgroupBroadcast(value, 3u),
    );
    high += vec4f(
      subgroupBroadcast(value, 4u),
      subgroupBroadcast(value, 5u),
      subgroupBroadcast(value, 6u),
      subgroupBroadcast(value, 7u),
    );
  }
  let first = 10u * (8u * group.x + lane);
  seen[first] = size;
  seen[first + 1u] = id;
  for (var i = 0u; i < 4u; i++) {
    seen[first + 2u + i] = u32(low[i]);
    seen[first + 6u + i] = u32(high[i]);
  }
}
