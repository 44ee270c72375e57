// Lists the kept weights of every output row in ascending order:
//
//   support[row, 0 .. counts[row]) = the columns with mask[row, column] != 0, without padding
//
// Shapes: mask (rows, row_quads) in quads from params.offset, channels in groups of in_quads quads; support (rows,
// 4 row_quads). One invocation reads one row: there are few rows, and each index follows from the one before.
// Dispatched by src/prune/refit/solve.ts.

// include dispatch

struct Params {
  rows: u32,
  row_quads: u32,
  in_quads: u32,
  channels: u32,
  offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mask: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> support: array<u32>;
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;

@compute @workgroup_size(8)
fn main(invocation: Invocation) {
  let row = invocation_index(invocation, 8u);
  if (row >= params.rows) {
    return;
  }
  let start = 4u * row * params.row_quads;
  var count = 0u;
  for (var quad = 0u; quad < params.row_quads; quad++) {
    let kept = read_mask(params.offset + row * params.row_quads + quad) != vec4f(0.0);
    let channel = 4u * (quad % params.in_quads);
    for (var i = 0u; i < 4u; i++) {
      if (kept[i] && channel + i < params.channels) {
        support[start + count] = 4u * quad + i;
        count++;
      }
    }
  }
  counts[row] = count;
}
