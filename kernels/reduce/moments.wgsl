// Computes the mean and the sum of squared deviations of every column over chunks of rows, in one pass. An invocation
// takes rows in fours, whose loads then wait together. After n rows, with the next four's mean m:
//
//   d = m - mean,   deviations += d^2 n 4 / (n + 4) + sum of (x[row] - m)^2,   mean += d 4 / (n + 4)
//
// and one by one where four are not left:
//
//   mean += (x[row] - mean) / n,   deviations += (x[row] - old mean) (x[row] - mean)
//
// E x^2 - (E x)^2 would lose digits in f32.
// Shapes: x (rows, quads); moments (chunks, 2, quads): means, then deviations, which reduce/merge_moments.wgsl
// merges. A workgroup computes up to 64 quads of one chunk: each invocation takes rows that follow each other, and
// reduce/merge_lanes.wgsl merges them. Dispatched by src/kernels/reduce.ts.
// Source: Welford 1962; Chan, Golub and LeVeque 1983.

// include reduce/chunks
// include reduce/merge_lanes

struct Params {
  rows: u32,
  quads: u32,
  rows_per_chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> moments: array<vec4f>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let chunk = chunk_at(group.y * groups.x + group.x, lane);
  let width = chunk_width();
  let depth = 64u / width;
  var count = 0.0;
  var mean = vec4f(0.0);
  var deviations = vec4f(0.0);
  var row = chunk.first;
  for (; row + 3u < chunk.last; row += 4u) {
    let value_${j} = read_x((row + ${j}u) * params.quads + chunk.quad);  // for j in 0..4
    let mean_of_four = ((value_0 + value_1) + (value_2 + value_3)) * 0.25;
    let difference = mean_of_four - mean;
    let share = 4.0 / (count + 4.0);
    let from_mean_${j} = value_${j} - mean_of_four;  // for j in 0..4
    deviations += difference * difference * (count * share);
    deviations += from_mean_${j} * from_mean_${j};  // for j in 0..4
    mean += difference * share;
    count += 4.0;
  }
  for (; row < chunk.last; row++) {
    let value = read_x(row * params.quads + chunk.quad);
    let difference = value - mean;
    count += 1.0;
    mean += difference * (1.0 / count);
    deviations += difference * (value - mean);
  }
  let merged = merge_lanes(Moments(count, mean, deviations), lane, width, depth);
  if (chunk.stores) {
    let at = 2u * chunk.index * params.quads + chunk.quad;
    write_moments(at, merged.mean);
    write_moments(at + params.quads, merged.deviations);
  }
}
