// Computes what a group of coupled channels is worth. Over its elements that are kept (mask above 0) and scored
// (score at least 0):
//
//   sums[g] = sum of score^2, or of score without SQUARED;   counts[g] = their number
//
// For scores z = |mean| sqrt(precision) the sum is z_g^2 of the group (src/prune/groups/scores.ts).
// Shapes: runs (first, stride, count, 0), floats of the arenas scores and mask; the runs starts[g] .. starts[g + 1]
// - 1 belong to group g. One workgroup adds one group. Lane l takes elements l, l + 64, ... of every run in order;
// a fixed tree adds the 64 sums. So the same scores give the same bits. Dispatched by src/prune/groups/scores.ts.

struct Params {
  groups: u32,
}

override SQUARED: bool = true;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> runs: array<vec4u>;
@group(0) @binding(3) var<storage, read> scores: array<f32>;
@group(0) @binding(4) var<storage, read> mask: array<f32>;
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;
@group(0) @binding(6) var<storage, read_write> counts: array<u32>;

var<workgroup> lane_sums: array<f32, 64>;
var<workgroup> lane_counts: array<u32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let group = workgroup.y * workgroups.x + workgroup.x;
  var sum = 0.0;
  var count = 0u;
  if (group < params.groups) {
    for (var r = starts[group]; r < starts[group + 1u]; r++) {
      let run = runs[r];
      for (var k = lane; k < run.z; k += 64u) {
        let place = run.x + k * run.y;
        let score = scores[place];
        if (score >= 0.0 && mask[place] > 0.0) {
          sum += select(score, score * score, SQUARED);
          count += 1u;
        }
      }
    }
  }
  lane_sums[lane] = sum;
  lane_counts[lane] = count;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (lane < half) {
      lane_sums[lane] += lane_sums[lane + half];
      lane_counts[lane] += lane_counts[lane + half];
    }
    workgroupBarrier();
  }
  if (lane == 0u && group < params.groups) {
    sums[group] = lane_sums[0];
    counts[group] = lane_counts[0];
  }
}
