// Sets up the normal equations of a batch of output rows, each on its own support. System s, for output row r with
// support S of n columns and damping d = damping[0] factor, is a symmetric matrix of `size` lines, of which the lower
// triangle is written, in whole quads:
//
//   A[a, b] = H[S_a, S_b] + d (a == b) for a, b < n;   d (a == b) elsewhere, which fills up to the batch's common size
//
// It stands in the first of `rows` lines; for those below see refit/gather_right_sides.wgsl. covariance is the packed H
// (refit/packed.wgsl) of `columns` columns, support (output rows, columns), systems (systems, rows, size / 4) in quads.
// One invocation computes one quad. Line a has a / 4 + 1 of them, so lines a and size - 1 - a together size / 4 + 1.

// include refit/packed

struct Params {
  systems: u32,
  rows: u32,
  size: u32,
  columns: u32,
}

struct Chosen {
  row: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> covariance: array<f32>;
@group(0) @binding(2) var<storage, read> damping: array<f32>;
@group(0) @binding(3) var<storage, read> support: array<u32>;
@group(0) @binding(4) var<storage, read> counts: array<u32>;
@group(0) @binding(5) var<storage, read> chosen: array<Chosen>;
@group(0) @binding(6) var<storage, read_write> systems: array<vec4f>;

// H[row, S_b], row the column of H that is line a's, where both are kept.
fn covariance_at(row: u32, start: u32, a: u32, b: u32, count: u32) -> f32 {
  let counts_in = a < count && b <= a;
  let column = support[start + select(0u, b, counts_in)];
  let value = covariance[packed_index(row, min(column, row), params.columns)];
  return select(0.0, value, counts_in);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * (groups.x * 64u) + id.x;
  let pair_quads = params.size / 4u + 1u;
  let pair = index / pair_quads;
  let system = pair / (params.size / 2u);
  if (system >= params.systems) {
    return;
  }
  let first = pair - system * (params.size / 2u);
  let place = index - pair * pair_quads;
  let in_first = place <= first / 4u;
  let a = select(params.size - 1u - first, first, in_first);
  let quad = select(place - first / 4u - 1u, place, in_first);
  let row = chosen[system].row;
  let count = counts[row];
  let start = row * params.columns;
  let line = select(0u, support[start + select(0u, a, a < count)], a < count);
  let b = 4u * quad;
  let values = vec4f(
    covariance_at(line, start, a, b, count),
    covariance_at(line, start, a, b + 1u, count),
    covariance_at(line, start, a, b + 2u, count),
    covariance_at(line, start, a, b + 3u, count),
  );
  let added = damping[0] * chosen[system].factor;
  let diagonal = select(vec4f(0.0), vec4f(added), vec4u(a) == vec4u(b, b + 1u, b + 2u, b + 3u));
  write_systems((system * params.rows + a) * (params.size / 4u) + quad, values + diagonal);
}
