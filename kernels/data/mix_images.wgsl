// Mixes the images of a batch in pairs, in place. Row n and row rows - 1 - n are partners:
//
//   x[n] = shares[n] x[n] + (1 - shares[n]) x[rows - 1 - n]
//
// If the number of rows is odd, the row in the middle stays.
// Shapes: x (rows, quads per example); shares (rows), in [0, 1]. One invocation computes the same quad of both rows
// of a pair. Dispatched by src/plan/mixup.ts.
// Source: Zhang et al. 2018, arXiv 1710.09412 (mixup).

// include dispatch

struct Params {
  rows: u32,
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> shares: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  let row = i / params.quads;
  if (row >= params.rows / 2u) {
    return;
  }
  let partner = params.rows - 1u - row;
  let j = partner * params.quads + (i - row * params.quads);
  let own = read_x(i);
  let other = read_x(j);
  write_x(i, shares[row] * own + (1.0 - shares[row]) * other);
  write_x(j, shares[partner] * other + (1.0 - shares[partner]) * own);
}
