// Core of matrix products for subgroups of 8 and operations whose rows are pixels of windows of 2 x 2. A lane
// computes a block of 8 x COLUMNS. Its rows are its own; its columns are those of all lanes.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// The 8 rows of a lane are two windows side by side, 4 x 2 pixels. Neighbouring pixels share most of the inputs
// under a filter's line. So a lane holds four columns of two image lines and moves them by one per tap: 2 reads per
// tap instead of 8. Besides functions like those of gemm/software/register.wgsl an operation gives pair_at(row),
// pair_line(pair, segment) and load_column(line, column, quad), the two pixels of a column; inner is
// params.kernel_width x params.in_quads. Products are summed by segment, quad, and tap of the line.
// The columns of b are shared as in gemm/software/subgroup_columns.wgsl. COLUMNS is a multiple of 32.
// workgroup_id.z is the split of the segments. All bounds come from params and workgroup_id, so control flow is
// uniform around the broadcasts.
// The core serves only a stride of 1 and an even number of windows per line. It runs only on adapters on which a
// probe (src/gpu/subgroups.ts) found subgroups of SUBGROUP_SIZE lanes.
// Source: gemm/software/subgroup_columns.wgsl; the moving columns are the register cache of a direct convolution.

// let COLUMN_STRIPS = COLUMNS / 4
// let LOADS = COLUMN_STRIPS / 8

// include gemm/software/subgroup_broadcast

const BLOCK_ROWS = 64u;
const BLOCK_COLUMNS = ${COLUMNS}u;
const BLOCKS_PER_WORKGROUP = 1u;
const LANE_ROWS = 8u;
const LANE_COLUMNS = ${COLUMNS}u;
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
  let shared_${l} = columns_at(column + ${32 * l}u + 4u * lane);  // for l in 0..LOADS
  var c_${i}_${j} = mat4x4f();  // for i in 0..2, j in 0..COLUMN_STRIPS
  let first = group.z * params.segments_per_split;
  let last = min(first + params.segments_per_split, params.segments);
  let steps = (max(first, last) - first) * params.in_quads;
  var segment = first;
  var quad = 0u;
  var line = pair_line(pair, segment);
  var segment_shared_${l} = column_segment(shared_${l}, segment);  // for l in 0..LOADS
  var step = 0u;
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off. A split may be empty.
  if (steps > 0u) {
    loop {
      var pixels_${p} = load_column(line, ${p}u, quad);  // for p in 0..3
      var tap = 0u;
      loop {
        let own_${l} = load_b(segment_shared_${l}, tap * params.in_quads + quad);  // for l in 0..LOADS
        let pixels_3 = load_column(line, tap + 3u, quad);
        let a_0 = mat4x4f(pixels_0[0], pixels_1[0], pixels_0[1], pixels_1[1]);
        let a_1 = mat4x4f(pixels_2[0], pixels_3[0], pixels_2[1], pixels_3[1]);
        // for j in 0..COLUMN_STRIPS
        let b_${j} = from_lane_${j % 8}(own_${j / 8});
        c_${i}_${j} += b_${j} * a_${i};  // for i in 0..2
        // end
        pixels_${p} = pixels_${p + 1};  // for p in 0..3
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
        segment_shared_${l} = column_segment(shared_${l}, segment);  // for l in 0..LOADS
      }
      step++;
      if (step >= steps) {
        break;
      }
    }
  }
  store_block(row + ${4 * i}u, column + ${4 * j}u, group.z, c_${i}_${j});  // for i in 0..2, j in 0..COLUMN_STRIPS
}
