// Criterion bn-scale: row_scores[row] = |scale of the row's channel|, the scales being floats of the arena mean from
// params.first. One invocation reads one row. Source: Liu et al. 2017, arXiv 1708.06519.

struct Params {
  rows: u32,
  first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read_write> row_scores: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.y * (groups.x * 64u) + id.x;
  if (row >= params.rows) {
    return;
  }
  row_scores[row] = abs(mean[params.first + row]);
}
