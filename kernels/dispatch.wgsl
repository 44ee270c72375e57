// Numbers the invocations of a dispatch. This file is part of the kernels that dispatchOver
// (src/kernels/dispatch.ts) runs, one invocation per item. Workgroups are spread over x and y, because x alone
// takes at most 65,535.

struct Invocation {
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
}

// Its number, with so many invocations in a workgroup.
fn invocation_index(invocation: Invocation, workgroup_size: u32) -> u32 {
  return invocation.id.y * (invocation.groups.x * workgroup_size) + invocation.id.x;
}
