// Writes solved weights, or numbers that belong to them, back to their offsets in an arena, with zeros between
// them:
//
//   out[row, support[row, a]] = solved[s, a] for a < counts[row], row = chosen[s].row; 0 elsewhere
//
// Rows with a flag, whose system failed, keep what they have.
// Shapes: out (rows, row_quads) in quads from params.offset; support (rows, 4 row_quads); solved (systems, size)
// floats. One invocation writes one row. Dispatched by src/prune/refit/solve.ts.

// include dispatch

struct Params {
  systems: u32,
  size: u32,
  row_quads: u32,
  offset: u32,
}

struct Chosen {
  row: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> solved: array<f32>;
@group(0) @binding(2) var<storage, read> support: array<u32>;
@group(0) @binding(3) var<storage, read> counts: array<u32>;
@group(0) @binding(4) var<storage, read> chosen: array<Chosen>;
@group(0) @binding(5) var<storage, read> flags: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(8)
fn main(invocation: Invocation) {
  let system = invocation_index(invocation, 8u);
  if (system >= params.systems) {
    return;
  }
  let row = chosen[system].row;
  if (flags[row] != 0u) {
    return;
  }
  let count = counts[row];
  let start = 4u * row * params.row_quads;
  var a = 0u;
  for (var quad = 0u; quad < params.row_quads; quad++) {
    var values = vec4f(0.0);
    for (var i = 0u; i < 4u; i++) {
      if (a < count && support[start + a] == 4u * quad + i) {
        values[i] = solved[system * params.size + a];
        a++;
      }
    }
    write_out(params.offset + row * params.row_quads + quad, values);
  }
}
