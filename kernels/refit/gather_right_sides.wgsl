// Sets up the lines below the matrices of a batch of systems. n, S and d are those of refit/gather_systems.wgsl.
//
//   line size:      C[r, S_b] + d W0[r, S_b], and 0 from n on    the right side, which factoring turns into L^-1 of itself
//   seven lines of zeros
//
// Shapes: cross_covariance C (output rows, columns); dense W0 likewise, from float params.dense_offset on; systems
// as in refit/systems.wgsl. One invocation computes one quad. Dispatched by src/prune/refit/solve.ts.

// include dispatch
// include refit/systems

struct Params {
  systems: u32,
  size: u32,
  lines: u32,
  shrink: u32,
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
fn main(invocation: Invocation) {
  let index = invocation_index(invocation, 64u);
  let column = index / 8u;
  let system = column / (params.size / 4u);
  if (system >= params.systems) {
    return;
  }
  let a = index % 8u;
  let quad = column - system * (params.size / 4u);
  let b = 4u * quad;
  var values = vec4f(0.0);
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
  write_systems(column_start(system, quad) + params.size + a, values);
}
