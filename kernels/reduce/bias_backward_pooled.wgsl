// Gradient of a bias where ReLU and max pooling follow: db[c] = sum over windows of dy[window, c] where the window's
// maximum was above zero (argmax >= 0). Term of reduce/columns.wgsl.
// dy and argmax (rows, quads) in quads, rows the windows; sums (chunks, quads).

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
