// The lines below the matrices of a batch of systems (refit/gather_systems.wgsl), with n, S and d as there:
//
//   line size:      C[r, S_b] + d W0[r, S_b], 0 from n on    the right side, which factoring makes L^-1 of itself
//   seven of zeros, and where rows > size + 8
//   line size + 8 + j: e_j of the identity, which factoring makes line j of L^-T
//
// cross_covariance C (output rows, columns), dense W0 the same from float params.dense_offset on; systems (systems, rows,
// size / 4) in quads. One invocation computes one quad.

struct Params {
  systems: u32,
  rows: u32,
  size: u32,
  columns: u32,
  dense_offset: u32,
}

struct Chosen {
  row: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cross_covariance: array<f32>;
@group(0) @binding(2) var<storage, read> dense: array<f32>;
@group(0) @binding(3) var<storage, read> damping: array<f32>;
@group(0) @binding(4) var<storage, read> support: array<u32>;
@group(0) @binding(5) var<storage, read> counts: array<u32>;
@group(0) @binding(6) var<storage, read> chosen: array<Chosen>;
@group(0) @binding(7) var<storage, read_write> systems: array<vec4f>;

fn right_side(start: u32, b: u32, count: u32, added: f32) -> f32 {
  if (b >= count) {
    return 0.0;
  }
  let place = start + support[start + b];
  return cross_covariance[place] + added * dense[params.dense_offset + place];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * (groups.x * 64u) + id.x;
  let quads = params.size / 4u;
  let below = params.rows - params.size;
  let line = index / quads;
  let system = line / below;
  if (system >= params.systems) {
    return;
  }
  let a = line - system * below;
  let quad = index - line * quads;
  let b = 4u * quad;
  var values = select(vec4f(0.0), vec4f(1.0), vec4u(a) == vec4u(8u) + vec4u(b, b + 1u, b + 2u, b + 3u));
  if (a == 0u) {
    let row = chosen[system].row;
    let start = row * params.columns;
    let count = counts[row];
    let added = damping[0] * chosen[system].factor;
    values = vec4f(
      right_side(start, b, count, added),
      right_side(start, b + 1u, count, added),
      right_side(start, b + 2u, count, added),
      right_side(start, b + 3u, count, added),
    );
  }
  write_systems((system * params.rows + params.size + a) * quads + quad, values);
}
