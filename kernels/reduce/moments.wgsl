// Mean and sum of squared deviations of every column over chunks of rows, in one pass (Welford 1962):
//
//   mean += (x[row] - mean) / n,   deviations += (x[row] - old mean) (x[row] - mean)      at the n-th row of a chunk
//
// E x^2 - (E x)^2 would cancel in f32. x (rows, quads); moments (chunks, 2, quads): means, then deviations, which
// reduce/merge_moments.wgsl merges. One invocation computes one quad of one chunk.

struct Params {
  rows: u32,
  quads: u32,
  rows_per_chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> moments: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * (groups.x * 64u) + id.x;
  let chunk = index / params.quads;
  let quad = index - chunk * params.quads;
  let first = chunk * params.rows_per_chunk;
  if (first >= params.rows) {
    return;
  }
  let count = min(params.rows_per_chunk, params.rows - first);
  var mean = vec4f(0.0);
  var deviations = vec4f(0.0);
  for (var n = 0u; n < count; n++) {
    let value = read_x((first + n) * params.quads + quad);
    let difference = value - mean;
    mean += difference * (1.0 / f32(n + 1u));
    deviations += difference * (value - mean);
  }
  let at = 2u * chunk * params.quads + quad;
  write_moments(at, mean);
  write_moments(at + params.quads, deviations);
}
