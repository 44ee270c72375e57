// Factors the diagonal block of block column k of a batch of systems, left-looking Cholesky:
//
//   D = A_kk - sum over columns left of k of L_k L_k^T = L_kk L_kk^T,   inverses[s, k] = L_kk^-1
//
// 16 x 16; only the inverse is kept, which is all that the lines below (refit/factor_panel.wgsl) and the back substitution
// ask for. In exact arithmetic no pivot lies below the system's damping: one below a quarter of it, or NaN, is
// rounding, and sets flags[chosen[s].row] to 1.
// systems as in refit/gather_systems.wgsl, read in columns up to k; inverses (systems, blocks, 4, 4, 4) in quads: quad q of
// tile (i, j), j <= i, is column 4 j + q of lines 4 i .. 4 i + 3. One invocation computes one system: neighbours run in step.
// All stands written out in 4 x 4 matrices, which stay in registers: private arrays take llvmpipe seconds to compile.
// Source: Golub and Van Loan, Matrix Computations, 4th ed., section 4.2.

struct Params {
  systems: u32,
  rows: u32,
  quads: u32,
  blocks: u32,
  block: u32,
}

struct Chosen {
  row: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> systems: array<vec4f>;
@group(0) @binding(2) var<storage, read> damping: array<f32>;
@group(0) @binding(3) var<storage, read> chosen: array<Chosen>;
@group(0) @binding(4) var<storage, read_write> inverses: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> flags: array<u32>;

// Four lines of four columns: column r is line r.
fn load_lines(start: u32) -> mat4x4f {
  return mat4x4f(
    read_systems(start),
    read_systems(start + params.quads),
    read_systems(start + 2u * params.quads),
    read_systems(start + 3u * params.quads),
  );
}

var<private> failed: bool;

// The reciprocal root of a pivot; of 1 where it is below the least.
fn root(pivot: f32, least: f32) -> f32 {
  let sound = pivot >= least;
  failed = failed || !sound;
  return 1.0 / sqrt(select(1.0, pivot, sound));
}

// The inverse N of the Cholesky factor of a tile whose column r is line r; column q of the result is column q of N.
fn inverse_factor(d: mat4x4f, least: f32) -> mat4x4f {
  let n_00 = root(d[0].x, least);
  let l_10 = d[1].x * n_00;
  let l_20 = d[2].x * n_00;
  let l_30 = d[3].x * n_00;
  let n_11 = root(d[1].y - l_10 * l_10, least);
  let l_21 = (d[2].y - l_20 * l_10) * n_11;
  let l_31 = (d[3].y - l_30 * l_10) * n_11;
  let n_22 = root(d[2].z - l_20 * l_20 - l_21 * l_21, least);
  let l_32 = (d[3].z - l_30 * l_20 - l_31 * l_21) * n_22;
  let n_33 = root(d[3].w - l_30 * l_30 - l_31 * l_31 - l_32 * l_32, least);
  let n_10 = -n_11 * l_10 * n_00;
  let n_20 = -n_22 * (l_20 * n_00 + l_21 * n_10);
  let n_21 = -n_22 * l_21 * n_11;
  let n_30 = -n_33 * (l_30 * n_00 + l_31 * n_10 + l_32 * n_20);
  let n_31 = -n_33 * (l_31 * n_11 + l_32 * n_21);
  let n_32 = -n_33 * l_32 * n_22;
  return mat4x4f(
    vec4f(n_00, n_10, n_20, n_30),
    vec4f(0.0, n_11, n_21, n_31),
    vec4f(0.0, 0.0, n_22, n_32),
    vec4f(0.0, 0.0, 0.0, n_33),
  );
}

fn store_inverse(start: u32, tile: mat4x4f) {
  write_inverses(start, tile[0]);
  write_inverses(start + 1u, tile[1]);
  write_inverses(start + 2u, tile[2]);
  write_inverses(start + 3u, tile[3]);
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let system = id.y * (groups.x * 8u) + id.x;
  if (system >= params.systems) {
    return;
  }
  let strip = 4u * params.quads;
  let line_0 = (system * params.rows + 16u * params.block) * params.quads;
  let line_1 = line_0 + strip;
  let line_2 = line_1 + strip;
  let line_3 = line_2 + strip;
  var c_00 = mat4x4f();
  var c_10 = mat4x4f();
  var c_11 = mat4x4f();
  var c_20 = mat4x4f();
  var c_21 = mat4x4f();
  var c_22 = mat4x4f();
  var c_30 = mat4x4f();
  var c_31 = mat4x4f();
  var c_32 = mat4x4f();
  var c_33 = mat4x4f();
  for (var q = 0u; q < 4u * params.block; q++) {
    let a_0 = load_lines(line_0 + q);
    let a_1 = load_lines(line_1 + q);
    let a_2 = load_lines(line_2 + q);
    let a_3 = load_lines(line_3 + q);
    let b_0 = transpose(a_0);
    c_00 += b_0 * a_0;
    c_10 += b_0 * a_1;
    c_20 += b_0 * a_2;
    c_30 += b_0 * a_3;
    let b_1 = transpose(a_1);
    c_11 += b_1 * a_1;
    c_21 += b_1 * a_2;
    c_31 += b_1 * a_3;
    let b_2 = transpose(a_2);
    c_22 += b_2 * a_2;
    c_32 += b_2 * a_3;
    let b_3 = transpose(a_3);
    c_33 += b_3 * a_3;
  }
  let own = 4u * params.block;
  let d_00 = load_lines(line_0 + own) - c_00;
  let d_10 = load_lines(line_1 + own) - c_10;
  var d_11 = load_lines(line_1 + own + 1u) - c_11;
  let d_20 = load_lines(line_2 + own) - c_20;
  var d_21 = load_lines(line_2 + own + 1u) - c_21;
  var d_22 = load_lines(line_2 + own + 2u) - c_22;
  let d_30 = load_lines(line_3 + own) - c_30;
  var d_31 = load_lines(line_3 + own + 1u) - c_31;
  var d_32 = load_lines(line_3 + own + 2u) - c_32;
  var d_33 = load_lines(line_3 + own + 3u) - c_33;
  let least = 0.25 * damping[0] * chosen[system].factor;
  let n_00 = inverse_factor(d_00, least);
  let l_10 = n_00 * d_10;
  let l_20 = n_00 * d_20;
  let l_30 = n_00 * d_30;
  d_11 -= transpose(l_10) * l_10;
  d_21 -= transpose(l_10) * l_20;
  d_31 -= transpose(l_10) * l_30;
  d_22 -= transpose(l_20) * l_20;
  d_32 -= transpose(l_20) * l_30;
  d_33 -= transpose(l_30) * l_30;
  let n_11 = inverse_factor(d_11, least);
  let l_21 = n_11 * d_21;
  let l_31 = n_11 * d_31;
  d_22 -= transpose(l_21) * l_21;
  d_32 -= transpose(l_21) * l_31;
  d_33 -= transpose(l_31) * l_31;
  let n_22 = inverse_factor(d_22, least);
  let l_32 = n_22 * d_32;
  d_33 -= transpose(l_32) * l_32;
  let n_33 = inverse_factor(d_33, least);
  let n_10 = -1.0 * (n_11 * (transpose(l_10) * n_00));
  let n_21 = -1.0 * (n_22 * (transpose(l_21) * n_11));
  let n_32 = -1.0 * (n_33 * (transpose(l_32) * n_22));
  let n_20 = -1.0 * (n_22 * (transpose(l_20) * n_00 + transpose(l_21) * n_10));
  let n_31 = -1.0 * (n_33 * (transpose(l_31) * n_11 + transpose(l_32) * n_21));
  let n_30 = -1.0 * (n_33 * (transpose(l_30) * n_00 + transpose(l_31) * n_10 + transpose(l_32) * n_20));
  if (failed) {
    flags[chosen[system].row] = 1u;
  }
  let start = 64u * (system * params.blocks + params.block);
  store_inverse(start, n_00);
  store_inverse(start + 16u, n_10);
  store_inverse(start + 20u, n_11);
  store_inverse(start + 32u, n_20);
  store_inverse(start + 36u, n_21);
  store_inverse(start + 40u, n_22);
  store_inverse(start + 48u, n_30);
  store_inverse(start + 52u, n_31);
  store_inverse(start + 56u, n_32);
  store_inverse(start + 60u, n_33);
}
