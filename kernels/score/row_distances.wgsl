// Criterion fpgm, first pass: computes the distance of each filter from the filters of a chunk of its layer:
//
//   distances[chunk, row] = sum over the chunk's rows r of |w_row - w_r|_2
//
// Shapes: mean, an arena in quads with the tensor (rows, row_quads) at params.offset, padding being zero; distances
// (chunks, rows). One invocation adds the distances of one row to rows_per_chunk rows, in order. Dispatched by
// src/prune/score/filters.ts.
// Source: He et al. 2019, arXiv 1811.00250, equation 4.

// include dispatch

struct Params {
  rows: u32,
  row_quads: u32,
  offset: u32,
  rows_per_chunk: u32,
  chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> distances: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.rows * params.chunks) {
    return;
  }
  let own = params.offset + (i % params.rows) * params.row_quads;
  let first = (i / params.rows) * params.rows_per_chunk;
  let last = min(first + params.rows_per_chunk, params.rows);
  var sum = 0.0;
  for (var row = first; row < last; row++) {
    let other = params.offset + row * params.row_quads;
    var squares = vec4f(0.0);
    for (var quad = 0u; quad < params.row_quads; quad++) {
      let difference = read_mean(own + quad) - read_mean(other + quad);
      squares += difference * difference;
    }
    sum += sqrt((squares.x + squares.y) + (squares.z + squares.w));
  }
  distances[i] = sum;
}
