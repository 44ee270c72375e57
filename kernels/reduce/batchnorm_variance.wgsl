// Variance of a channel: the sum over rows of (x[row, c] - mean[c])^2. Term of reduce/columns.wgsl; the splits
// pass divides by the rows. Two passes, mean first, since E x^2 - (E x)^2 cancels in f32.
// x (rows, quads), mean (quads), sums (chunks, quads), all in quads.

struct Params {
  rows: u32,
  quads: u32,
  rows_per_chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> mean: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4f>;

var<private> mean_of_column: vec4f;

fn begin(quad: u32) {
  mean_of_column = read_mean(quad);
}

fn term(row: u32, quad: u32) -> vec4f {
  let centred = read_x(row * params.quads + quad) - mean_of_column;
  return centred * centred;
}

fn finish(sum: vec4f) -> vec4f {
  return sum;
}
