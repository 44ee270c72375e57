// Sums products of one line of transformed tiles: four tiles per lane with eight strips of four columns that all
// lanes share. This file is part of Winograd's kernels.

// include gemm/software/subgroup_broadcast

struct Sums {
  c_${j}: mat4x4f,  // for j in 0..8
}

fn add_products(sums: ptr<function, Sums>, own: mat4x4f, a: mat4x4f) {
  (*sums).c_${j} += from_lane_${j}(own) * a;  // for j in 0..8
}
