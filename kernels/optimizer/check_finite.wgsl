// Notes step.index as bad where a value is NaN or infinite (bits tested, since compilers may assume finite floats).
// values (quads). One invocation tests one quad.

struct Params {
  quads: u32,
}

struct Step {
  index: u32,
}

struct Tally {
  loss_sum: f32,
  correct: u32,
  count: u32,
  bad_step: atomic<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> values: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> tally: Tally;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.quads) {
    return;
  }
  let exponents = bitcast<vec4u>(read_values(i)) & vec4u(0x7f800000u);
  if (any(exponents == vec4u(0x7f800000u))) {
    atomicMin(&tally.bad_step, step.index);
  }
}
