// Matrix product core for subgroups of 8: a block of 64 rows x 32 columns a workgroup of one subgroup.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// For the functions that an operation's file gives see gemm/register_8x8.wgsl. Each lane sums a block of 64 x 4: 4
// columns of its own, 64 rows that all lanes share. Each lane loads 2 of the 16 strips of four rows, and every
// lane takes it from there by a broadcast of a constant lane. workgroup_id.z is the split of the segments; each
// sums in the order of k. All bounds come from params and workgroup_id, so that control flow is uniform around the
// broadcasts.
// Only for adapters on which a probe (src/gpu/subgroups.ts) found subgroups of SUBGROUP_SIZE lanes.
// Source: the broadcast takes the place of Volkov and Demmel's shared memory (2008, gemm/tile_64x64.wgsl).

// include gemm/subgroup_broadcast

const BLOCK_ROWS = 64u;
const BLOCK_COLUMNS = 32u;
const BLOCKS_PER_WORKGROUP = 1u;
const LANE_ROWS = 64u;
const LANE_COLUMNS = 4u;
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
  let columns_0 = columns_at(column + 0u);
  let rows_0 = rows_at(row + 0u + 4u * lane);
  let rows_1 = rows_at(row + 32u + 4u * lane);
  var c_00 = mat4x4f();
  var c_10 = mat4x4f();
  var c_20 = mat4x4f();
  var c_30 = mat4x4f();
  var c_40 = mat4x4f();
  var c_50 = mat4x4f();
  var c_60 = mat4x4f();
  var c_70 = mat4x4f();
  var c_80 = mat4x4f();
  var c_90 = mat4x4f();
  var c_100 = mat4x4f();
  var c_110 = mat4x4f();
  var c_120 = mat4x4f();
  var c_130 = mat4x4f();
  var c_140 = mat4x4f();
  var c_150 = mat4x4f();
  let first = group.z * params.segments_per_split;
  let last = min(first + params.segments_per_split, params.segments);
  let steps = (max(first, last) - first) * params.inner;
  var segment = first;
  var k = 0u;
  var segment_b0 = column_segment(columns_0, segment);
  var segment_a0 = row_segment(rows_0, segment);
  var segment_a1 = row_segment(rows_1, segment);
  var step = 0u;
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off. A split may be empty.
  if (steps > 0u) {
    loop {
      let own_0 = load_a(segment_a0, k);
      let own_1 = load_a(segment_a1, k);
      let b_0 = load_b(segment_b0, k);
      let a_0 = from_lane_0(own_0);
      c_00 += b_0 * a_0;
      let a_1 = from_lane_1(own_0);
      c_10 += b_0 * a_1;
      let a_2 = from_lane_2(own_0);
      c_20 += b_0 * a_2;
      let a_3 = from_lane_3(own_0);
      c_30 += b_0 * a_3;
      let a_4 = from_lane_4(own_0);
      c_40 += b_0 * a_4;
      let a_5 = from_lane_5(own_0);
      c_50 += b_0 * a_5;
      let a_6 = from_lane_6(own_0);
      c_60 += b_0 * a_6;
      let a_7 = from_lane_7(own_0);
      c_70 += b_0 * a_7;
      let a_8 = from_lane_0(own_1);
      c_80 += b_0 * a_8;
      let a_9 = from_lane_1(own_1);
      c_90 += b_0 * a_9;
      let a_10 = from_lane_2(own_1);
      c_100 += b_0 * a_10;
      let a_11 = from_lane_3(own_1);
      c_110 += b_0 * a_11;
      let a_12 = from_lane_4(own_1);
      c_120 += b_0 * a_12;
      let a_13 = from_lane_5(own_1);
      c_130 += b_0 * a_13;
      let a_14 = from_lane_6(own_1);
      c_140 += b_0 * a_14;
      let a_15 = from_lane_7(own_1);
      c_150 += b_0 * a_15;
      k++;
      if (k == params.inner) {
        k = 0u;
        segment++;
        segment_b0 = column_segment(columns_0, segment);
        segment_a0 = row_segment(rows_0, segment);
        segment_a1 = row_segment(rows_1, segment);
      }
      step++;
      if (step >= steps) {
        break;
      }
    }
  }
  store_block(row + 0u, column + 0u, group.z, c_00);
  store_block(row + 4u, column + 0u, group.z, c_10);
  store_block(row + 8u, column + 0u, group.z, c_20);
  store_block(row + 12u, column + 0u, group.z, c_30);
  store_block(row + 16u, column + 0u, group.z, c_40);
  store_block(row + 20u, column + 0u, group.z, c_50);
  store_block(row + 24u, column + 0u, group.z, c_60);
  store_block(row + 28u, column + 0u, group.z, c_70);
  store_block(row + 32u, column + 0u, group.z, c_80);
  store_block(row + 36u, column + 0u, group.z, c_90);
  store_block(row + 40u, column + 0u, group.z, c_100);
  store_block(row + 44u, column + 0u, group.z, c_110);
  store_block(row + 48u, column + 0u, group.z, c_120);
  store_block(row + 52u, column + 0u, group.z, c_130);
  store_block(row + 56u, column + 0u, group.z, c_140);
  store_block(row + 60u, column + 0u, group.z, c_150);
}
