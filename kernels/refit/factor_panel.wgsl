// Factors the lines below the diagonal block of block column k of a batch of systems, left-looking Cholesky:
//
//   L_ik = (A_ik - sum over columns left of k of L_i L_k^T) L_kk^-T
//
// for every line i below the block, the right side and the lines of the identity among them (refit/gather_systems.wgsl),
// in place. inverses holds L_kk^-1 as refit/factor_diagonal.wgsl leaves it. One invocation computes 8 lines x 16
// columns in registers as 4 x 4 matrices, in the order of the columns.
// Source: Golub and Van Loan, Matrix Computations, 4th ed., section 4.2.

struct Params {
  systems: u32,
  rows: u32,
  quads: u32,
  blocks: u32,
  block: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> inverses: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> systems: array<vec4f>;

// Four lines of four columns: column r is line r.
fn load_lines(start: u32) -> mat4x4f {
  return mat4x4f(
    read_systems(start),
    read_systems(start + params.quads),
    read_systems(start + 2u * params.quads),
    read_systems(start + 3u * params.quads),
  );
}

// Tile (i, j) of an inverse: column q is column 4 j + q of lines 4 i .. 4 i + 3.
fn load_inverse(start: u32, i: u32, j: u32) -> mat4x4f {
  let place = start + 16u * i + 4u * j;
  return mat4x4f(read_inverses(place), read_inverses(place + 1u), read_inverses(place + 2u), read_inverses(place + 3u));
}

fn store_lines(start: u32, tile: mat4x4f) {
  write_systems(start, tile[0]);
  write_systems(start + params.quads, tile[1]);
  write_systems(start + 2u * params.quads, tile[2]);
  write_systems(start + 3u * params.quads, tile[3]);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * (groups.x * 64u) + id.x;
  let below = 16u * (params.block + 1u);
  let groups_of_lines = (params.rows - below) / 8u;
  let system = index / groups_of_lines;
  if (system >= params.systems) {
    return;
  }
  let line = below + 8u * (index - system * groups_of_lines);
  // Line j of the identity's part stays zero left of column j.
  let own = 4u * params.block;
  let unit = 4u * params.quads + 8u;
  let first = select(0u, (line - unit) / 4u, line >= unit);
  if (first >= own + 4u) {
    return;
  }
  let top = system * params.rows * params.quads;
  let strip = 4u * params.quads;
  let line_0 = top + line * params.quads;
  let line_1 = line_0 + strip;
  let block_0 = top + 16u * params.block * params.quads;
  let block_1 = block_0 + strip;
  let block_2 = block_1 + strip;
  let block_3 = block_2 + strip;
  var c_00 = mat4x4f();
  var c_01 = mat4x4f();
  var c_02 = mat4x4f();
  var c_03 = mat4x4f();
  var c_10 = mat4x4f();
  var c_11 = mat4x4f();
  var c_12 = mat4x4f();
  var c_13 = mat4x4f();
  for (var q = first; q < own; q++) {
    let a_0 = load_lines(line_0 + q);
    let a_1 = load_lines(line_1 + q);
    let b_0 = transpose(load_lines(block_0 + q));
    c_00 += b_0 * a_0;
    c_10 += b_0 * a_1;
    let b_1 = transpose(load_lines(block_1 + q));
    c_01 += b_1 * a_0;
    c_11 += b_1 * a_1;
    let b_2 = transpose(load_lines(block_2 + q));
    c_02 += b_2 * a_0;
    c_12 += b_2 * a_1;
    let b_3 = transpose(load_lines(block_3 + q));
    c_03 += b_3 * a_0;
    c_13 += b_3 * a_1;
  }
  let d_00 = load_lines(line_0 + own) - c_00;
  let d_01 = load_lines(line_0 + own + 1u) - c_01;
  let d_02 = load_lines(line_0 + own + 2u) - c_02;
  let d_03 = load_lines(line_0 + own + 3u) - c_03;
  let d_10 = load_lines(line_1 + own) - c_10;
  let d_11 = load_lines(line_1 + own + 1u) - c_11;
  let d_12 = load_lines(line_1 + own + 2u) - c_12;
  let d_13 = load_lines(line_1 + own + 3u) - c_13;
  let start = 64u * (system * params.blocks + params.block);
  let n_00 = load_inverse(start, 0u, 0u);
  store_lines(line_0 + own, n_00 * d_00);
  store_lines(line_1 + own, n_00 * d_10);
  let n_10 = load_inverse(start, 1u, 0u);
  let n_11 = load_inverse(start, 1u, 1u);
  store_lines(line_0 + own + 1u, n_10 * d_00 + n_11 * d_01);
  store_lines(line_1 + own + 1u, n_10 * d_10 + n_11 * d_11);
  let n_20 = load_inverse(start, 2u, 0u);
  let n_21 = load_inverse(start, 2u, 1u);
  let n_22 = load_inverse(start, 2u, 2u);
  store_lines(line_0 + own + 2u, n_20 * d_00 + n_21 * d_01 + n_22 * d_02);
  store_lines(line_1 + own + 2u, n_20 * d_10 + n_21 * d_11 + n_22 * d_12);
  let n_30 = load_inverse(start, 3u, 0u);
  let n_31 = load_inverse(start, 3u, 1u);
  let n_32 = load_inverse(start, 3u, 2u);
  let n_33 = load_inverse(start, 3u, 3u);
  store_lines(line_0 + own + 3u, n_30 * d_00 + n_31 * d_01 + n_32 * d_02 + n_33 * d_03);
  store_lines(line_1 + own + 3u, n_30 * d_10 + n_31 * d_11 + n_32 * d_12 + n_33 * d_13);
}
