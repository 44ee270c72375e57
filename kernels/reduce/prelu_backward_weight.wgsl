// Computes the gradient of a PReLU's slopes: dslope[c] = sum over rows of dy x where x <= 0. It is a term of
// reduce/columns.wgsl.
//
// Shapes: x and dy (rows, quads); sums (chunks, quads). Dispatched by src/kernels/reduce.ts.

struct Params {
  rows: u32,
  quads: u32,
  rows_per_chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4f>;

fn term(row: u32, quad: u32) -> vec4f {
  let i = row * params.quads + quad;
  return select(read_x(i) * read_dy(i), vec4f(0.0), read_x(i) > vec4f(0.0));
}
