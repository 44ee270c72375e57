// Computes the gradient of a bias: db[c] = sum over rows of dy[row, c]. It is a term of reduce/columns.wgsl.
//
// Shapes: dy (rows, quads); sums (chunks, quads). Dispatched by src/kernels/reduce.ts.

struct Params {
  rows: u32,
  quads: u32,
  rows_per_chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;

fn term(row: u32, quad: u32) -> vec4f {
  return read_dy(row * params.quads + quad);
}
