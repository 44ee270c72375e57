// Matrix product core: a block of 16 rows x 16 columns an invocation, held in registers as 4 x 4 matrices.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// An operation's file gives rows_at, columns_at (what is fixed for four rows or columns), row_segment,
// column_segment (what is fixed while k runs through a segment), load_a (column r: row r at k .. k + 3), load_b
// (column j: four columns at k + j) and store_block (column r of c: row r, four columns). One workgroup computes 8
// blocks that follow each other down the rows; workgroup_id.z is the split of the segments, each sums in the order of k.
// The inner block stands written out: a driver need not unroll anything to keep it in registers.
// Segments and k are one loop: with one loop in the other the sums pass through memory twice as often (llvmpipe runs
// the 3 x 3 convolution of 3 channels 1.5 times as fast, its weight gradient 1.2 times).

const BLOCK_ROWS = 16u;
const BLOCK_COLUMNS = 16u;
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
  let rows_0 = rows_at(row + 0u);
  let rows_1 = rows_at(row + 4u);
  let rows_2 = rows_at(row + 8u);
  let rows_3 = rows_at(row + 12u);
  let columns_0 = columns_at(column + 0u);
  let columns_1 = columns_at(column + 4u);
  let columns_2 = columns_at(column + 8u);
  let columns_3 = columns_at(column + 12u);
  var c_00 = mat4x4f();
  var c_01 = mat4x4f();
  var c_02 = mat4x4f();
  var c_03 = mat4x4f();
  var c_10 = mat4x4f();
  var c_11 = mat4x4f();
  var c_12 = mat4x4f();
  var c_13 = mat4x4f();
  var c_20 = mat4x4f();
  var c_21 = mat4x4f();
  var c_22 = mat4x4f();
  var c_23 = mat4x4f();
  var c_30 = mat4x4f();
  var c_31 = mat4x4f();
  var c_32 = mat4x4f();
  var c_33 = mat4x4f();
  let first = group.z * params.segments_per_split;
  let last = min(first + params.segments_per_split, params.segments);
  let steps = (max(first, last) - first) * params.inner;
  var segment = first;
  var k = 0u;
  var segment_a0 = row_segment(rows_0, segment);
  var segment_a1 = row_segment(rows_1, segment);
  var segment_a2 = row_segment(rows_2, segment);
  var segment_a3 = row_segment(rows_3, segment);
  var segment_b0 = column_segment(columns_0, segment);
  var segment_b1 = column_segment(columns_1, segment);
  var segment_b2 = column_segment(columns_2, segment);
  var segment_b3 = column_segment(columns_3, segment);
  var step = 0u;
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off. A split may be empty.
  if (steps > 0u) {
    loop {
      let a_0 = load_a(segment_a0, k);
      let a_1 = load_a(segment_a1, k);
      let a_2 = load_a(segment_a2, k);
      let a_3 = load_a(segment_a3, k);
      let b_0 = load_b(segment_b0, k);
      c_00 += b_0 * a_0;
      c_10 += b_0 * a_1;
      c_20 += b_0 * a_2;
      c_30 += b_0 * a_3;
      let b_1 = load_b(segment_b1, k);
      c_01 += b_1 * a_0;
      c_11 += b_1 * a_1;
      c_21 += b_1 * a_2;
      c_31 += b_1 * a_3;
      let b_2 = load_b(segment_b2, k);
      c_02 += b_2 * a_0;
      c_12 += b_2 * a_1;
      c_22 += b_2 * a_2;
      c_32 += b_2 * a_3;
      let b_3 = load_b(segment_b3, k);
      c_03 += b_3 * a_0;
      c_13 += b_3 * a_1;
      c_23 += b_3 * a_2;
      c_33 += b_3 * a_3;
      k++;
      if (k == params.inner) {
        k = 0u;
        segment++;
        segment_a0 = row_segment(rows_0, segment);
        segment_a1 = row_segment(rows_1, segment);
        segment_a2 = row_segment(rows_2, segment);
        segment_a3 = row_segment(rows_3, segment);
        segment_b0 = column_segment(columns_0, segment);
        segment_b1 = column_segment(columns_1, segment);
        segment_b2 = column_segment(columns_2, segment);
        segment_b3 = column_segment(columns_3, segment);
      }
      step++;
      if (step >= steps) {
        break;
      }
    }
  }
  store_block(row + 0u, column + 0u, group.z, c_00);
  store_block(row + 0u, column + 4u, group.z, c_01);
  store_block(row + 0u, column + 8u, group.z, c_02);
  store_block(row + 0u, column + 12u, group.z, c_03);
  store_block(row + 4u, column + 0u, group.z, c_10);
  store_block(row + 4u, column + 4u, group.z, c_11);
  store_block(row + 4u, column + 8u, group.z, c_12);
  store_block(row + 4u, column + 12u, group.z, c_13);
  store_block(row + 8u, column + 0u, group.z, c_20);
  store_block(row + 8u, column + 4u, group.z, c_21);
  store_block(row + 8u, column + 8u, group.z, c_22);
  store_block(row + 8u, column + 12u, group.z, c_23);
  store_block(row + 12u, column + 0u, group.z, c_30);
  store_block(row + 12u, column + 4u, group.z, c_31);
  store_block(row + 12u, column + 8u, group.z, c_32);
  store_block(row + 12u, column + 12u, group.z, c_33);
}
