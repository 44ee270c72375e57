// Matrix product core for subgroups of 8: a block of 32 rows x 32 columns a workgroup of one subgroup.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// For the functions that an operation's file gives see gemm/register_8x8.wgsl. Each lane sums a block of 4 x 32: 4
// rows of its own, 32 columns that all lanes share. Each lane loads one strip of four columns, and every lane
// takes it from there by a broadcast of a constant lane. workgroup_id.z is the split of the segments; each sums in
// the order of k. All bounds come from params and workgroup_id, so that control flow is uniform around the
// broadcasts.
// Only for adapters on which a probe (src/gpu/subgroups.ts) found subgroups of SUBGROUP_SIZE lanes.
// Source: the broadcast takes the place of Volkov and Demmel's shared memory (2008, gemm/tile_64x64.wgsl).

// include gemm/subgroup_broadcast

const BLOCK_ROWS = 32u;
const BLOCK_COLUMNS = 32u;
const BLOCKS_PER_WORKGROUP = 1u;
const LANE_ROWS = 4u;
const LANE_COLUMNS = 32u;
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
  let rows_0 = rows_at(row + 0u);
  let columns_0 = columns_at(column + 4u * lane);
  var c_00 = mat4x4f();
  var c_01 = mat4x4f();
  var c_02 = mat4x4f();
  var c_03 = mat4x4f();
  var c_04 = mat4x4f();
  var c_05 = mat4x4f();
  var c_06 = mat4x4f();
  var c_07 = mat4x4f();
  let first = group.z * params.segments_per_split;
  let last = min(first + params.segments_per_split, params.segments);
  let steps = (max(first, last) - first) * params.inner;
  var segment = first;
  var k = 0u;
  var segment_a0 = row_segment(rows_0, segment);
  var segment_b0 = column_segment(columns_0, segment);
  var step = 0u;
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off. A split may be empty.
  if (steps > 0u) {
    loop {
      let own_0 = load_b(segment_b0, k);
      let a_0 = load_a(segment_a0, k);
      let b_0 = from_lane_0(own_0);
      c_00 += b_0 * a_0;
      let b_1 = from_lane_1(own_0);
      c_01 += b_1 * a_0;
      let b_2 = from_lane_2(own_0);
      c_02 += b_2 * a_0;
      let b_3 = from_lane_3(own_0);
      c_03 += b_3 * a_0;
      let b_4 = from_lane_4(own_0);
      c_04 += b_4 * a_0;
      let b_5 = from_lane_5(own_0);
      c_05 += b_5 * a_0;
      let b_6 = from_lane_6(own_0);
      c_06 += b_6 * a_0;
      let b_7 = from_lane_7(own_0);
      c_07 += b_7 * a_0;
      k++;
      if (k == params.inner) {
        k = 0u;
        segment++;
        segment_a0 = row_segment(rows_0, segment);
        segment_b0 = column_segment(columns_0, segment);
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
  store_block(row + 0u, column + 16u, group.z, c_04);
  store_block(row + 0u, column + 20u, group.z, c_05);
  store_block(row + 0u, column + 24u, group.z, c_06);
  store_block(row + 0u, column + 28u, group.z, c_07);
}
