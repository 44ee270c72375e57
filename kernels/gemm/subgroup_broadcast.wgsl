// The matrix that one lane of a subgroup holds, for all of its lanes: part of the cores that share an operand through
// subgroups. The lanes are constants, since WGSL's subgroupBroadcast asks for that.
// Source: WGSL, section "Subgroup built-in functions".

fn from_lane_0(own: mat4x4f) -> mat4x4f {
  return mat4x4f(
    subgroupBroadcast(own[0], 0u),
    subgroupBroadcast(own[1], 0u),
    subgroupBroadcast(own[2], 0u),
    subgroupBroadcast(own[3], 0u),
  );
}

fn from_lane_1(own: mat4x4f) -> mat4x4f {
  return mat4x4f(
    subgroupBroadcast(own[0], 1u),
    subgroupBroadcast(own[1], 1u),
    subgroupBroadcast(own[2], 1u),
    subgroupBroadcast(own[3], 1u),
  );
}

fn from_lane_2(own: mat4x4f) -> mat4x4f {
  return mat4x4f(
    subgroupBroadcast(own[0], 2u),
    subgroupBroadcast(own[1], 2u),
    subgroupBroadcast(own[2], 2u),
    subgroupBroadcast(own[3], 2u),
  );
}

fn from_lane_3(own: mat4x4f) -> mat4x4f {
  return mat4x4f(
    subgroupBroadcast(own[0], 3u),
    subgroupBroadcast(own[1], 3u),
    subgroupBroadcast(own[2], 3u),
    subgroupBroadcast(own[3], 3u),
  );
}

fn from_lane_4(own: mat4x4f) -> mat4x4f {
  return mat4x4f(
    subgroupBroadcast(own[0], 4u),
    subgroupBroadcast(own[1], 4u),
    subgroupBroadcast(own[2], 4u),
    subgroupBroadcast(own[3], 4u),
  );
}

fn from_lane_5(own: mat4x4f) -> mat4x4f {
  return mat4x4f(
    subgroupBroadcast(own[0], 5u),
    subgroupBroadcast(own[1], 5u),
    subgroupBroadcast(own[2], 5u),
    subgroupBroadcast(own[3], 5u),
  );
}

fn from_lane_6(own: mat4x4f) -> mat4x4f {
  return mat4x4f(
    subgroupBroadcast(own[0], 6u),
    subgroupBroadcast(own[1], 6u),
    subgroupBroadcast(own[2], 6u),
    subgroupBroadcast(own[3], 6u),
  );
}

fn from_lane_7(own: mat4x4f) -> mat4x4f {
  return mat4x4f(
    subgroupBroadcast(own[0], 7u),
    subgroupBroadcast(own[1], 7u),
    subgroupBroadcast(own[2], 7u),
    subgroupBroadcast(own[3], 7u),
  );
}
