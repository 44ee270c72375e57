// Turns the Gram sums of shifted samples into covariances, in place:
//
//   products[row, column] = products[row, column] / n - d[first + row] d[column],   d = sums / n
//
// The samples were shifted by about their mean (kernels/refit/gather_*.wgsl). So d is small, and the difference
// loses no digits.
// Shapes: products (rows, column_quads) from quad params.offset; sums, the column sums of the shifted samples, in
// quads; params.scale is 1 / n. One invocation computes one quad. Dispatched by src/prune/refit/gram.ts.

// include dispatch

struct Params {
  rows: u32,
  column_quads: u32,
  offset: u32,
  first: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> products: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let index = invocation_index(invocation, 64u);
  let row = index / params.column_quads;
  if (row >= params.rows) {
    return;
  }
  let place = params.first + row;
  let row_mean = params.scale * read_sums(place / 4u)[place % 4u];
  let column_means = params.scale * read_sums(index - row * params.column_quads);
  let i = params.offset + index;
  write_products(i, params.scale * read_products(i) - row_mean * column_means);
}
