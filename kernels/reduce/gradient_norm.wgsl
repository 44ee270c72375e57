// Squares the gradients that an optimizer will step along, before clipping, for their global norm:
//
//   term = (mask * (gradient + l1 * sign(value)))^2        (l1 only for the first decayed_quads quads)
//
// It is a term of reduce/columns.wgsl over the arenas as rows of params.quads quads, of which the last is filled up
// with zeros. optimizer/clip_norm.wgsl adds the chunks.
// Shapes: gradients, values and mask (quads); sums (chunks, quads). Dispatched by src/plan/optimizer.ts.

struct Params {
  rows: u32,
  quads: u32,
  rows_per_chunk: u32,
  total: u32,
  decayed_quads: u32,
  l1: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read> values: array<vec4f>;
@group(0) @binding(3) var<storage, read> mask: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> sums: array<vec4f>;

fn term(row: u32, quad: u32) -> vec4f {
  let i = row * params.quads + quad;
  if (i >= params.total) {
    return vec4f(0.0);
  }
  var gradient = read_gradients(i);
  if (i < params.decayed_quads) {
    gradient += params.l1 * sign(read_values(i));
  }
  gradient *= read_mask(i);
  return gradient * gradient;
}
