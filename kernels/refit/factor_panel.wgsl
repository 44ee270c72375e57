// Factors the lines of block column k of a batch of systems by left-looking Cholesky, in place. For the lines i
// below the diagonal block, which include the right side and the lines of the identity:
//
//   L_ik = (A_ik - sum over columns left of k of L_i L_k^T) L_kk^-T
//
// With IS_DIAGONAL it computes, for the lines of the diagonal block, the bracket alone and stores it in diagonals,
// from which refit/factor_diagonal.wgsl computes inverses.
// Shapes: refit/systems.wgsl. One invocation computes 4 lines x 32 columns in registers as 4 x 4 matrices, in the
// order of the columns. Dispatched by src/prune/refit/solve.ts.
// Source: Golub and Van Loan, Matrix Computations, 4th ed., section 4.2.

// include dispatch
// include refit/panel

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let index = invocation_index(invocation, 64u);
  let system = index / line_groups();
  if (system >= params.systems) {
    return;
  }
  let line = line_of(index - system * line_groups());
  let block_line = 32u * params.block;
  var c_${j} = mat4x4f();  // for j in 0..8
  for (var q = first_quad(line); q < 8u * params.block; q++) {
    let start = column_start(system, q);
    let a = load_lines(start + line);
    c_${j} += transpose(load_lines(start + block_line + ${4 * j}u)) * a;  // for j in 0..8
  }
  finish_lines(system, line, Half(c_0, c_1, c_2, c_3), Half(c_4, c_5, c_6, c_7));
}
