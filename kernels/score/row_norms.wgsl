// Computes the mean absolute weight of each filter: row_norms[row] = sum over the row of |mean| / weights of the
// row.
//
// Shapes: mean, an arena in quads with the tensor (rows, row_quads) at params.offset. One invocation adds one row
// in order. Dispatched by src/prune/score/filters.ts.

// include dispatch

struct Params {
  rows: u32,
  row_quads: u32,
  offset: u32,
  row_weights: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> row_norms: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let row = invocation_index(invocation, 64u);
  if (row >= params.rows) {
    return;
  }
  var sum = vec4f(0.0);
  for (var quad = 0u; quad < params.row_quads; quad++) {
    sum += abs(read_mean(params.offset + row * params.row_quads + quad));
  }
  row_norms[row] = (sum.x + sum.y + sum.z + sum.w) / params.row_weights;
}
