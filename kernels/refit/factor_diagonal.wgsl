// Factors the diagonal block of block column k of a batch of systems, as two halves of 16 columns one after the
// other:
//
//   D = [D_00 .; D_10 D_11] = [L_00 0; L_10 L_11] [L_00 0; L_10 L_11]^T
//
// D lies in diagonals, already less the columns left of it (refit/factor_panel.wgsl). Only L_10 and the inverses of
// L_00 and L_11 are kept, in inverses (refit/systems.wgsl): the lines below and the back substitution need no more.
// In exact arithmetic no pivot lies below the system's damping. A pivot below a quarter of it, or not finite, is
// the result of rounding; then flags[chosen[s].row] becomes 1.
// Shapes: diagonals (systems, 8, 32) in quads, quad q of line i at 32 q + i. One invocation computes one system;
// neighbours run in step. Everything is written out in 4 x 4 matrices that stay in registers, because llvmpipe
// takes seconds to compile private arrays. Dispatched by src/prune/refit/solve.ts.
// Source: Golub and Van Loan, Matrix Computations, 4th ed., section 4.2.

// include dispatch
// include math/finite
// include refit/systems

struct Params {
  systems: u32,
  size: u32,
  lines: u32,
  shrink: u32,
  block: u32,
}

struct Chosen {
  row: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> diagonals: array<vec4f>;
@group(0) @binding(2) var<storage, read> damping: array<f32>;
@group(0) @binding(3) var<storage, read> chosen: array<Chosen>;
@group(0) @binding(4) var<storage, read_write> inverses: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> flags: array<u32>;

// Tile (i, j) of the diagonal block: column r is line 4 i + r.
fn load_tile(system: u32, i: u32, j: u32) -> mat4x4f {
  let start = 32u * (8u * system + j) + 4u * i;
  return mat4x4f(
    read_diagonals(start),
    read_diagonals(start + 1u),
    read_diagonals(start + 2u),
    read_diagonals(start + 3u),
  );
}

// A tile of the record, as store_tile left it: read from the buffer on every path, since no mirror has it yet.
fn load_stored(start: u32) -> mat4x4f {
  return mat4x4f(
    inverses[start],
    inverses[start + 1u],
    inverses[start + 2u],
    inverses[start + 3u],
  );
}

fn store_tile(start: u32, tile: mat4x4f) {
  write_inverses(start, tile[0]);
  write_inverses(start + 1u, tile[1]);
  write_inverses(start + 2u, tile[2]);
  write_inverses(start + 3u, tile[3]);
}

var<private> failed: bool;

// The reciprocal root of a pivot; of 1 where it is below the least.
fn root(pivot: f32, least: f32) -> f32 {
  let sound = is_finite(pivot) && pivot >= least;
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

@compute @workgroup_size(8)
fn main(invocation: Invocation) {
  let system = invocation_index(invocation, 8u);
  if (system >= params.systems) {
    return;
  }
  let record = record_start(system, params.block);
  let below = record + 128u;
  let least = 0.25 * damping[0] * chosen[system].factor;
  for (var half = 0u; half < 2u; half++) {
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
    // The second half less what is left of it, L_10 L_10^T.
    for (var q = 0u; q < 4u * half; q++) {
      let b_0 = load_stored(below + 4u * q);
      let b_1 = load_stored(below + 16u + 4u * q);
      let b_2 = load_stored(below + 32u + 4u * q);
      let b_3 = load_stored(below + 48u + 4u * q);
      let a_0 = transpose(b_0);
      c_00 += b_0 * a_0;
      let a_1 = transpose(b_1);
      c_10 += b_0 * a_1;
      c_11 += b_1 * a_1;
      let a_2 = transpose(b_2);
      c_20 += b_0 * a_2;
      c_21 += b_1 * a_2;
      c_22 += b_2 * a_2;
      let a_3 = transpose(b_3);
      c_30 += b_0 * a_3;
      c_31 += b_1 * a_3;
      c_32 += b_2 * a_3;
      c_33 += b_3 * a_3;
    }
    let top = 4u * half;
    let d_00 = load_tile(system, top, top) - c_00;
    let d_10 = load_tile(system, top + 1u, top) - c_10;
    var d_11 = load_tile(system, top + 1u, top + 1u) - c_11;
    let d_20 = load_tile(system, top + 2u, top) - c_20;
    var d_21 = load_tile(system, top + 2u, top + 1u) - c_21;
    var d_22 = load_tile(system, top + 2u, top + 2u) - c_22;
    let d_30 = load_tile(system, top + 3u, top) - c_30;
    var d_31 = load_tile(system, top + 3u, top + 1u) - c_31;
    var d_32 = load_tile(system, top + 3u, top + 2u) - c_32;
    var d_33 = load_tile(system, top + 3u, top + 3u) - c_33;
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
    let start = record + 64u * half;
    store_tile(start, n_00);
    store_tile(start + 16u, n_10);
    store_tile(start + 20u, n_11);
    store_tile(start + 32u, n_20);
    store_tile(start + 36u, n_21);
    store_tile(start + 40u, n_22);
    store_tile(start + 48u, n_30);
    store_tile(start + 52u, n_31);
    store_tile(start + 56u, n_32);
    store_tile(start + 60u, n_33);
    // The first half's columns of the second half's lines.
    for (var i = 0u; i < 4u - top; i++) {
      let e_0 = load_tile(system, 4u + i, 0u);
      let e_1 = load_tile(system, 4u + i, 1u);
      let e_2 = load_tile(system, 4u + i, 2u);
      let e_3 = load_tile(system, 4u + i, 3u);
      store_tile(below + 16u * i, transpose(n_00 * e_0));
      store_tile(below + 16u * i + 4u, transpose(n_10 * e_0 + n_11 * e_1));
      store_tile(below + 16u * i + 8u, transpose(n_20 * e_0 + n_21 * e_1 + n_22 * e_2));
      store_tile(below + 16u * i + 12u, transpose(n_30 * e_0 + n_31 * e_1 + n_32 * e_2 + n_33 * e_3));
    }
  }
  if (failed) {
    flags[chosen[system].row] = 1u;
  }
}
