// Cores of matrix products for subgroups of 8 that share rows. A lane computes a block of ROWS x COLUMNS. Its
// columns are its own; its rows are those of all lanes.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// It works like gemm/software/subgroup_columns.wgsl with the sides exchanged. ROWS is a multiple of 32.

// let ROW_STRIPS = ROWS / 4
// let COLUMN_STRIPS = COLUMNS / 4
// let LOADS = ROW_STRIPS / 8

// include gemm/software/subgroup_broadcast

const BLOCK_ROWS = ${ROWS}u;
const BLOCK_COLUMNS = ${8 * COLUMNS}u;
const BLOCKS_PER_WORKGROUP = 1u;
const LANE_ROWS = ${ROWS}u;
const LANE_COLUMNS = ${COLUMNS}u;
const SUBGROUP_SIZE = 8u;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = group.y * groups.x + group.x;
  let row_blocks = (params.rows + BLOCK_ROWS - 1u) / BLOCK_ROWS;
  let first_row = (block % row_blocks) * BLOCK_ROWS;
  let first_column = (block / row_blocks) * BLOCK_COLUMNS;
  if (first_column >= params.columns) {
    return;
  }
  let row = first_row;
  let column = first_column + LANE_COLUMNS * lane;
  let columns_${j} = columns_at(column + ${4 * j}u);  // for j in 0..COLUMN_STRIPS
  let shared_${l} = rows_at(row + ${32 * l}u + 4u * lane);  // for l in 0..LOADS
  var c_${i}_${j} = mat4x4f();  // for i in 0..ROW_STRIPS, j in 0..COLUMN_STRIPS
  let first = group.z * params.segments_per_split;
  let last = min(first + params.segments_per_split, params.segments);
  let steps = (max(first, last) - first) * params.inner;
  var segment = first;
  var k = 0u;
  var segment_b_${j} = column_segment(columns_${j}, segment);  // for j in 0..COLUMN_STRIPS
  var segment_shared_${l} = row_segment(shared_${l}, segment);  // for l in 0..LOADS
  var step = 0u;
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off. A split may be empty.
  if (steps > 0u) {
    loop {
      let own_${l} = load_a(segment_shared_${l}, k);  // for l in 0..LOADS
      let b_${j} = load_b(segment_b_${j}, k);  // for j in 0..COLUMN_STRIPS
      // for i in 0..ROW_STRIPS
      let a_${i} = from_lane_${i % 8}(own_${i / 8});
      c_${i}_${j} += b_${j} * a_${i};  // for j in 0..COLUMN_STRIPS
      // end
      k++;
      if (k == params.inner) {
        k = 0u;
        segment++;
        segment_b_${j} = column_segment(columns_${j}, segment);  // for j in 0..COLUMN_STRIPS
        segment_shared_${l} = row_segment(shared_${l}, segment);  // for l in 0..LOADS
      }
      step++;
      if (step >= steps) {
        break;
      }
    }
  }
  store_block(row + ${4 * i}u, column + ${4 * j}u, group.z, c_${i}_${j});  // for i in 0..ROW_STRIPS, j in 0..COLUMN_STRIPS
}
