// Adds what the invocations of a workgroup of 64 hold, in order, so that two runs give the same bits. This file is part
// of the kernels that add in parallel.
//
// The invocations lie side by side over `width` columns, `depth` deep; width * depth is at most 64. The invocations of
// depth 0 get the sums of their columns. All invocations must call it, with the same width and depth. Before it is
// called again they must meet at a barrier. One barrier and a short loop cost less than a tree: on llvmpipe by far, and
// on GPUs what they cost more is less than one load from memory.

var<workgroup> lane_sums: array<vec4f, 64>;

fn add_lanes(sum: vec4f, lane: u32, width: u32, depth: u32) -> vec4f {
  lane_sums[lane] = sum;
  workgroupBarrier();
  var total = sum;
  if (lane < width) {
    for (var own = 1u; own < depth; own++) {
      total += lane_sums[lane + own * width];
    }
  }
  return total;
}
