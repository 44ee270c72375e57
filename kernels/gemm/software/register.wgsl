// Cores of matrix products in registers. One invocation computes a block of ROWS x COLUMNS as 4 x 4 matrices.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// An operation's file gives
//
//   rows_at(row), columns_at(column)           what is fixed for four rows or four columns, a strip
//   row_segment(rows, segment), column_segment(columns, segment)
//                                              what is fixed while k runs through a segment
//   load_a(segment, k)                         a strip of a: column r holds row r at k .. k + 3
//   load_b(segment, k)                         a strip of b: column j holds four columns at k + j
//   store_block(row, column, split, c)         takes 4 x 4 of c: column r holds row r, four columns
//
// One workgroup computes 8 blocks that follow each other down the rows. workgroup_id.z is the split of the
// segments. Each sum is in the order of k.
// The sizes are in src/kernels/core_table.ts; for, if and ${} are explained in src/kernels/expand.ts. The block is
// written out, so no driver has to unroll a loop to keep it in registers. Segments and k are one loop. With two
// nested loops the sums pass through memory twice as often: llvmpipe runs the 3 x 3 convolution of 3 channels 1.5
// times as fast, its weight gradient 1.2 times. Dispatched by src/kernels/core_table.ts.

// let ROW_STRIPS = ROWS / 4
// let COLUMN_STRIPS = COLUMNS / 4

const BLOCK_ROWS = ${ROWS}u;
const BLOCK_COLUMNS = ${COLUMNS}u;
const BLOCKS_PER_WORKGROUP = 8u;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = (group.y * groups.x + group.x) * BLOCKS_PER_WORKGROUP + lane;
  let row_blocks = (params.rows + BLOCK_ROWS - 1u) / BLOCK_ROWS;
  let row = (block % row_blocks) * BLOCK_ROWS;
  let column = (block / row_blocks) * BLOCK_COLUMNS;
  if (column >= params.columns) {
    return;
  }
  let rows_${i} = rows_at(row + ${4 * i}u);  // for i in 0..ROW_STRIPS
  let columns_${j} = columns_at(column + ${4 * j}u);  // for j in 0..COLUMN_STRIPS
  var c_${i}_${j} = mat4x4f();  // for i in 0..ROW_STRIPS, j in 0..COLUMN_STRIPS
  let first = group.z * params.segments_per_split;
  let last = min(first + params.segments_per_split, params.segments);
  let steps = (max(first, last) - first) * params.inner;
  var segment = first;
  var k = 0u;
  var segment_a_${i} = row_segment(rows_${i}, segment);  // for i in 0..ROW_STRIPS
  var segment_b_${j} = column_segment(columns_${j}, segment);  // for j in 0..COLUMN_STRIPS
  var step = 0u;
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off. A split may be empty.
  if (steps > 0u) {
    loop {
      // if COLUMN_STRIPS > 1
      let a_${i} = load_a(segment_a_${i}, k);  // for i in 0..ROW_STRIPS
      // for j in 0..COLUMN_STRIPS
      let b_${j} = load_b(segment_b_${j}, k);
      c_${i}_${j} += b_${j} * a_${i};  // for i in 0..ROW_STRIPS
      // end
      // else
      let b_0 = load_b(segment_b_0, k);
      c_${i}_0 += b_0 * load_a(segment_a_${i}, k);  // for i in 0..ROW_STRIPS
      // end
      k++;
      if (k == params.inner) {
        k = 0u;
        segment++;
        segment_a_${i} = row_segment(rows_${i}, segment);  // for i in 0..ROW_STRIPS
        segment_b_${j} = column_segment(columns_${j}, segment);  // for j in 0..COLUMN_STRIPS
      }
      step++;
      if (step >= steps) {
        break;
      }
    }
  }
  store_block(row + ${4 * i}u, column + ${4 * j}u, group.z, c_${i}_${j});  // for i in 0..ROW_STRIPS, j in 0..COLUMN_STRIPS
}
