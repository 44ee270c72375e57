// Gives the matrix that one lane of a subgroup holds to all of its lanes. This file is part of the cores that share
// an operand through subgroups. The lanes are constants, because WGSL's subgroupBroadcast requires that.
// Source: WGSL, section "Subgroup built-in functions".

// for lane in 0..8
fn from_lane_${lane}(own: mat4x4f) -> mat4x4f {
  return mat4x4f(
    subgroupBroadcast(own[0], ${lane}u),
    subgroupBroadcast(own[1], ${lane}u),
    subgroupBroadcast(own[2], ${lane}u),
    subgroupBroadcast(own[3], ${lane}u),
  );
}

// end
