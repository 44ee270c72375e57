// Adds the parts of a row: row_scores[row] = sum over chunks of parts[chunk, row]. parts (chunks, rows), row_scores (rows).
// One invocation adds one row in order.

struct Params {
  rows: u32,
  chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> row_scores: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.y * (groups.x * 64u) + id.x;
  if (row >= params.rows) {
    return;
  }
  var sum = 0.0;
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    sum += parts[chunk * params.rows + row];
  }
  row_scores[row] = sum;
}
