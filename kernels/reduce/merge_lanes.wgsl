// Merges the means and the sums of squared deviations of two sets of rows, and those that the invocations of a
// workgroup of 64 hold, in order, so that two runs give the same bits:
//
//   d = b.mean - a.mean,   share = b.count / (a.count + b.count)
//   mean = a.mean + d share,   deviations = a.deviations + b.deviations + d^2 a.count share
//
// This file is part of the kernels of moments. The invocations lie as in reduce/add_lanes.wgsl.
// Source: Chan, Golub and LeVeque 1983.

struct Moments {
  count: f32,
  mean: vec4f,
  deviations: vec4f,
}

var<workgroup> lane_counts: array<f32, 64>;
var<workgroup> lane_means: array<vec4f, 64>;
var<workgroup> lane_deviations: array<vec4f, 64>;

fn merge(a: Moments, b: Moments) -> Moments {
  if (b.count == 0.0) {
    return a;
  }
  if (a.count == 0.0) {
    return b;
  }
  let count = a.count + b.count;
  let share = b.count / count;
  let difference = b.mean - a.mean;
  let deviations = a.deviations + b.deviations + difference * difference * (a.count * share);
  return Moments(count, a.mean + difference * share, deviations);
}

fn merge_lanes(moments: Moments, lane: u32, width: u32, depth: u32) -> Moments {
  lane_counts[lane] = moments.count;
  lane_means[lane] = moments.mean;
  lane_deviations[lane] = moments.deviations;
  workgroupBarrier();
  var merged = moments;
  if (lane < width) {
    for (var own = 1u; own < depth; own++) {
      let other = lane + own * width;
      merged = merge(merged, Moments(lane_counts[other], lane_means[other], lane_deviations[other]));
    }
  }
  return merged;
}
