// Computes the gradient of a bias before a ReLU and max pooling: db[c] = sum of dy[window, c] over the windows
// whose maximum was above zero (argmax >= 0). It is a term of reduce/columns.wgsl.
//
// Shapes: dy and argmax (rows, quads), where rows are the windows; sums (chunks, quads). Dispatched by
// src/model/pooled_convolution.ts.

struct Params {
  rows: u32,
  quads: u32,
  rows_per_chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> argmax: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4f>;

fn term(row: u32, quad: u32) -> vec4f {
  let i = row * params.quads + quad;
  return select(vec4f(0.0), read_dy(i), read_argmax(i) >= vec4f(0.0));
}
