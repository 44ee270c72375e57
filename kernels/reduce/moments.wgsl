// Computes the mean and the sum of squared deviations of every column over chunks of rows, in one pass. At row n of
// a chunk:
//
//   mean += (x[row] - mean) / n,   deviations += (x[row] - old mean) (x[row] - mean)
//
// E x^2 - (E x)^2 would lose digits in f32.
// Shapes: x (rows, quads); moments (chunks, 2, quads): means, then deviations, which reduce/merge_moments.wgsl
// merges. One invocation computes one quad of one chunk. Dispatched by src/kernels/reduce.ts.
// Source: Welford 1962.

// include dispatch
// include reduce/chunks

struct Params {
  rows: u32,
  quads: u32,
  rows_per_chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> moments: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let chunk = chunk_at(invocation_index(invocation, 64u));
  if (chunk.first >= params.rows) {
    return;
  }
  var mean = vec4f(0.0);
  var deviations = vec4f(0.0);
  for (var row = chunk.first; row < chunk.last; row++) {
    let value = read_x(row * params.quads + chunk.quad);
    let difference = value - mean;
    mean += difference * (1.0 / f32(row - chunk.first + 1u));
    deviations += difference * (value - mean);
  }
  let at = 2u * chunk.index * params.quads + chunk.quad;
  write_moments(at, mean);
  write_moments(at + params.quads, deviations);
}
