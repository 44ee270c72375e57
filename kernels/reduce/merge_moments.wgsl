// Merges the moments of chunks of rows into the mean and variance of every column, in the order of the chunks:
//
//   mean += d s,   deviations += the chunk's + d^2 n s;   variance = deviations / rows
//
// Here d is the next chunk's mean less the mean so far, n the rows so far, m those of the next chunk, and s = m /
// (n + m).
// Shapes: moments (chunks, 2, quads), from reduce/moments.wgsl; mean and variance (quads). One invocation computes
// one quad. Dispatched by src/kernels/reduce.ts.
// Source: Chan, Golub and LeVeque 1983.

// include dispatch

struct Params {
  rows: u32,
  quads: u32,
  rows_per_chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> moments: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> variance: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let quad = invocation_index(invocation, 64u);
  if (quad >= params.quads) {
    return;
  }
  var merged = vec4f(0.0);
  var deviations = vec4f(0.0);
  for (var first = 0u; first < params.rows; first += params.rows_per_chunk) {
    let at = 2u * (first / params.rows_per_chunk) * params.quads + quad;
    let count = min(params.rows_per_chunk, params.rows - first);
    let share = f32(count) / f32(first + count);
    let difference = read_moments(at) - merged;
    merged += difference * share;
    deviations += read_moments(at + params.quads) + difference * difference * (f32(first) * share);
  }
  write_mean(quad, merged);
  write_variance(quad, deviations / f32(params.rows));
}
