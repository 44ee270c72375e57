// Matrix product core for subgroups of 8: a block of 16 rows x 64 columns a workgroup of one subgroup.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// For the functions that an operation's file gives see gemm/register_8x8.wgsl. Each lane sums a block of 16 x 8: 8
// columns of its own, 16 rows that all lanes share. Half of the lanes load the 4 strips of four rows at k, the
// other half those at k + 1, and every lane takes it from there by a broadcast of a constant lane. workgroup_id.z
// is the split of the segments; each sums in the order of k. All bounds come from params and workgroup_id, so that
// control flow is uniform around the broadcasts.
// Only for adapters on which a probe (src/gpu/subgroups.ts) found subgroups of SUBGROUP_SIZE lanes.
// Source: the broadcast takes the place of Volkov and Demmel's shared memory (2008, gemm/tile_64x64.wgsl).

// include gemm/subgroup_broadcast

const BLOCK_ROWS = 16u;
const BLOCK_COLUMNS = 64u;
const BLOCKS_PER_WORKGROUP = 1u;
const LANE_ROWS = 16u;
const LANE_COLUMNS = 8u;
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
  let columns_1 = columns_at(column + 4u);
  let rows_0 = rows_at(row + 4u * (lane % 4u));
  let own_k = lane / 4u;
  var c_00 = mat4x4f();
  var c_01 = mat4x4f();
  var c_10 = mat4x4f();
  var c_11 = mat4x4f();
  var c_20 = mat4x4f();
  var c_21 = mat4x4f();
  var c_30 = mat4x4f();
  var c_31 = mat4x4f();
  let first = group.z * params.segments_per_split;
  let last = min(first + params.segments_per_split, params.segments);
  let steps = (max(first, last) - first) * ((params.inner + 1u) / 2u);
  var segment = first;
  var k = 0u;
  var segment_b0 = column_segment(columns_0, segment);
  var segment_b1 = column_segment(columns_1, segment);
  var segment_a0 = row_segment(rows_0, segment);
  var step = 0u;
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off. A split may be empty.
  if (steps > 0u) {
    loop {
      let own_0 = load_a(segment_a0, min(k + own_k, params.inner - 1u));
      let b_0 = load_b(segment_b0, k);
      let b_1 = load_b(segment_b1, k);
      let a_0 = from_lane_0(own_0);
      c_00 += b_0 * a_0;
      c_01 += b_1 * a_0;
      let a_1 = from_lane_1(own_0);
      c_10 += b_0 * a_1;
      c_11 += b_1 * a_1;
      let a_2 = from_lane_2(own_0);
      c_20 += b_0 * a_2;
      c_21 += b_1 * a_2;
      let a_3 = from_lane_3(own_0);
      c_30 += b_0 * a_3;
      c_31 += b_1 * a_3;
      if (k + 1u < params.inner) {
        let b_0 = load_b(segment_b0, k + 1u);
        let b_1 = load_b(segment_b1, k + 1u);
        let a_0 = from_lane_4(own_0);
        c_00 += b_0 * a_0;
        c_01 += b_1 * a_0;
        let a_1 = from_lane_5(own_0);
        c_10 += b_0 * a_1;
        c_11 += b_1 * a_1;
        let a_2 = from_lane_6(own_0);
        c_20 += b_0 * a_2;
        c_21 += b_1 * a_2;
        let a_3 = from_lane_7(own_0);
        c_30 += b_0 * a_3;
        c_31 += b_1 * a_3;
      }
      k += 2u;
      if (k >= params.inner) {
        k = 0u;
        segment++;
        segment_b0 = column_segment(columns_0, segment);
        segment_b1 = column_segment(columns_1, segment);
        segment_a0 = row_segment(rows_0, segment);
      }
      step++;
      if (step >= steps) {
        break;
      }
    }
  }
  store_block(row + 0u, column + 0u, group.z, c_00);
  store_block(row + 0u, column + 4u, group.z, c_01);
  store_block(row + 4u, column + 0u, group.z, c_10);
  store_block(row + 4u, column + 4u, group.z, c_11);
  store_block(row + 8u, column + 0u, group.z, c_20);
  store_block(row + 8u, column + 4u, group.z, c_21);
  store_block(row + 12u, column + 0u, group.z, c_30);
  store_block(row + 12u, column + 4u, group.z, c_31);
}
