// Matrix product core for subgroups of 8 and operations whose rows are pixels of windows of 2 x 2: a block of 64 rows x
// 32 columns a workgroup of one subgroup.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// A lane's 8 rows are two windows side by side, 4 x 2 pixels. Neighbouring pixels share most of what a filter's line
// reads, so a lane holds four columns of two image lines and moves them by one a tap: 2 reads a tap in place of 8. Beside
// rows_at's kin an operation gives pair_at(row), pair_line(pair, segment) and load_column(line, column, quad), a column's
// two pixels; inner is params.kernel_width x params.in_quads. Products are summed by segment, quad, tap of the line.
// The columns of b are shared as in gemm/subgroup_8x32.wgsl. workgroup_id.z is the split of the segments. All bounds
// come from params and workgroup_id, so that control flow is uniform around the broadcasts.
// Only for a stride of 1 and an even number of windows a line, and for adapters on which a probe (src/gpu/subgroups.ts)
// found subgroups of SUBGROUP_SIZE lanes.
// Source: gemm/subgroup_8x32.wgsl; the sliding columns are the register cache of a direct convolution.

// include gemm/subgroup_broadcast

const BLOCK_ROWS = 64u;
const BLOCK_COLUMNS = 32u;
const BLOCKS_PER_WORKGROUP = 1u;
const LANE_ROWS = 8u;
const LANE_COLUMNS = 32u;
const SUBGROUP_SIZE = 8u;
// This core serves only operations whose rows are windows, which have load_column.
const ROWS_ARE_WINDOWS = 1u;

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
  let pair = pair_at(row);
  let columns_0 = columns_at(column + 4u * lane);
  var c_00 = mat4x4f();
  var c_01 = mat4x4f();
  var c_02 = mat4x4f();
  var c_03 = mat4x4f();
  var c_04 = mat4x4f();
  var c_05 = mat4x4f();
  var c_06 = mat4x4f();
  var c_07 = mat4x4f();
  var c_10 = mat4x4f();
  var c_11 = mat4x4f();
  var c_12 = mat4x4f();
  var c_13 = mat4x4f();
  var c_14 = mat4x4f();
  var c_15 = mat4x4f();
  var c_16 = mat4x4f();
  var c_17 = mat4x4f();
  let first = group.z * params.segments_per_split;
  let last = min(first + params.segments_per_split, params.segments);
  let steps = (max(first, last) - first) * params.in_quads;
  var segment = first;
  var quad = 0u;
  var line = pair_line(pair, segment);
  var segment_b0 = column_segment(columns_0, segment);
  var step = 0u;
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off. A split may be empty.
  if (steps > 0u) {
    loop {
      var pixels_0 = load_column(line, 0u, quad);
      var pixels_1 = load_column(line, 1u, quad);
      var pixels_2 = load_column(line, 2u, quad);
      var tap = 0u;
      loop {
        let own_0 = load_b(segment_b0, tap * params.in_quads + quad);
        let pixels_3 = load_column(line, tap + 3u, quad);
        let a_0 = mat4x4f(pixels_0[0], pixels_1[0], pixels_0[1], pixels_1[1]);
        let a_1 = mat4x4f(pixels_2[0], pixels_3[0], pixels_2[1], pixels_3[1]);
        let b_0 = from_lane_0(own_0);
        c_00 += b_0 * a_0;
        c_10 += b_0 * a_1;
        let b_1 = from_lane_1(own_0);
        c_01 += b_1 * a_0;
        c_11 += b_1 * a_1;
        let b_2 = from_lane_2(own_0);
        c_02 += b_2 * a_0;
        c_12 += b_2 * a_1;
        let b_3 = from_lane_3(own_0);
        c_03 += b_3 * a_0;
        c_13 += b_3 * a_1;
        let b_4 = from_lane_4(own_0);
        c_04 += b_4 * a_0;
        c_14 += b_4 * a_1;
        let b_5 = from_lane_5(own_0);
        c_05 += b_5 * a_0;
        c_15 += b_5 * a_1;
        let b_6 = from_lane_6(own_0);
        c_06 += b_6 * a_0;
        c_16 += b_6 * a_1;
        let b_7 = from_lane_7(own_0);
        c_07 += b_7 * a_0;
        c_17 += b_7 * a_1;
        pixels_0 = pixels_1;
        pixels_1 = pixels_2;
        pixels_2 = pixels_3;
        tap++;
        if (tap >= params.kernel_width) {
          break;
        }
      }
      quad++;
      if (quad == params.in_quads) {
        quad = 0u;
        segment++;
        line = pair_line(pair, segment);
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
  store_block(row + 4u, column + 0u, group.z, c_10);
  store_block(row + 4u, column + 4u, group.z, c_11);
  store_block(row + 4u, column + 8u, group.z, c_12);
  store_block(row + 4u, column + 12u, group.z, c_13);
  store_block(row + 4u, column + 16u, group.z, c_14);
  store_block(row + 4u, column + 20u, group.z, c_15);
  store_block(row + 4u, column + 24u, group.z, c_16);
  store_block(row + 4u, column + 28u, group.z, c_17);
}
