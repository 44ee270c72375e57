// Cores of matrix products for subgroups of 8 that share columns. A lane computes a block of ROWS x COLUMNS. Its
// rows are its own; its columns are those of all lanes.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// The functions that an operation gives, and the sizes, are those of gemm/software/register.wgsl. Of every eight
// strips of four columns each lane loads one, and shares it by a broadcast of a constant lane. Every lane loads the
// strips beyond a multiple of eight itself: with 36 columns, the taps of a 3 x 3 filter over up to four channels,
// that is one. One workgroup is one subgroup. workgroup_id.z is the split of the segments. Each sum is in the order
// of k. All bounds come from params and workgroup_id, so control flow is uniform around the broadcasts.
// The core runs only on adapters on which a probe (src/gpu/subgroups.ts) found subgroups of SUBGROUP_SIZE lanes.
// Source: Volkov and Demmel 2008 (gemm/gpu/tile.wgsl), with broadcasts instead of shared memory.

// let ROW_STRIPS = ROWS / 4
// let COLUMN_STRIPS = COLUMNS / 4
// let LOADS = COLUMN_STRIPS / 8

// include gemm/software/subgroup_broadcast

const BLOCK_ROWS = ${8 * ROWS}u;
const BLOCK_COLUMNS = ${COLUMNS}u;
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
  let row = first_row + LANE_ROWS * lane;
  let column = first_column;
  let rows_${i} = rows_at(row + ${4 * i}u);  // for i in 0..ROW_STRIPS
  let shared_${l} = columns_at(column + ${32 * l}u + 4u * lane);  // for l in 0..LOADS
  let columns_${j} = columns_at(column + ${4 * j}u);  // for j in 8 * LOADS..COLUMN_STRIPS
  var c_${i}_${j} = mat4x4f();  // for i in 0..ROW_STRIPS, j in 0..COLUMN_STRIPS
  let first = group.z * params.segments_per_split;
  let last = min(first + params.segments_per_split, params.segments);
  let steps = (max(first, last) - first) * params.inner;
  var segment = first;
  var k = 0u;
  var segment_a_${i} = row_segment(rows_${i}, segment);  // for i in 0..ROW_STRIPS
  var segment_shared_${l} = column_segment(shared_${l}, segment);  // for l in 0..LOADS
  var segment_b_${j} = column_segment(columns_${j}, segment);  // for j in 8 * LOADS..COLUMN_STRIPS
  var step = 0u;
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off. A split may be empty.
  if (steps > 0u) {
    loop {
      let own_${l} = load_b(segment_shared_${l}, k);  // for l in 0..LOADS
      let a_${i} = load_a(segment_a_${i}, k);  // for i in 0..ROW_STRIPS
      // for j in 0..8 * LOADS
      let b_${j} = from_lane_${j % 8}(own_${j / 8});
      c_${i}_${j} += b_${j} * a_${i};  // for i in 0..ROW_STRIPS
      // end
      // for j in 8 * LOADS..COLUMN_STRIPS
      let b_${j} = load_b(segment_b_${j}, k);
      c_${i}_${j} += b_${j} * a_${i};  // for i in 0..ROW_STRIPS
      // end
      k++;
      if (k == params.inner) {
        k = 0u;
        segment++;
        segment_a_${i} = row_segment(rows_${i}, segment);  // for i in 0..ROW_STRIPS
        segment_shared_${l} = column_segment(shared_${l}, segment);  // for l in 0..LOADS
        segment_b_${j} = column_segment(columns_${j}, segment);  // for j in 8 * LOADS..COLUMN_STRIPS
      }
      step++;
      if (step >= steps) {
        break;
      }
    }
  }
  store_block(row + ${4 * i}u, column + ${4 * j}u, group.z, c_${i}_${j});  // for i in 0..ROW_STRIPS, j in 0..COLUMN_STRIPS
}
