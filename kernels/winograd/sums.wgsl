// Sums of products of one line of transformed tiles, four a lane with eight strips of four columns that all lanes share:
// part of Winograd's kernels.

// include gemm/software/subgroup_broadcast

struct Sums {
  c_0: mat4x4f,
  c_1: mat4x4f,
  c_2: mat4x4f,
  c_3: mat4x4f,
  c_4: mat4x4f,
  c_5: mat4x4f,
  c_6: mat4x4f,
  c_7: mat4x4f,
}

fn add_products(sums: ptr<function, Sums>, own: mat4x4f, a: mat4x4f) {
  (*sums).c_0 += from_lane_0(own) * a;
  (*sums).c_1 += from_lane_1(own) * a;
  (*sums).c_2 += from_lane_2(own) * a;
  (*sums).c_3 += from_lane_3(own) * a;
  (*sums).c_4 += from_lane_4(own) * a;
  (*sums).c_5 += from_lane_5(own) * a;
  (*sums).c_6 += from_lane_6(own) * a;
  (*sums).c_7 += from_lane_7(own) * a;
}
