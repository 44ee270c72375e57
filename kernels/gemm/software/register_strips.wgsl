// Core of matrix products for convolutions with three taps per line. An invocation computes a block of ROWS x 4 in
// registers as 4 x 4 matrices, in strips of 8 rows whose pixels lie side by side.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// The functions that an operation gives, and the sizes, are those of gemm/software/register.wgsl. A strip reads the
// same pixels under the next tap, moved by one row. So under three taps that follow each other, from a multiple of
// three on, it reads 10 quads instead of 24. a_s holds the first four of strip s, m_s the next four, and z_s four
// from the seventh on, of which the last two are needed. Of c, upper_s holds the first four rows of strip s,
// lower_s the next four.
// One workgroup computes 8 blocks that follow each other down the rows. The core serves only products whose rows
// and taps lie so (rowOrders in src/kernels/cores.ts), and whose sums are not split.
// Source: Georganas et al. 2018, arXiv 1808.05567 (register blocking of direct convolutions).

// let STRIPS = ROWS / 8

const BLOCK_ROWS = ${ROWS}u;
const BLOCK_COLUMNS = 4u;
const BLOCKS_PER_WORKGROUP = 8u;
const ROWS_ARE_STRIPS = 1u;

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
  // for s in 0..STRIPS
  let upper_rows_${s} = rows_at(row + ${8 * s}u);
  let lower_rows_${s} = rows_at(row + ${8 * s + 4}u);
  // end
  let columns = columns_at(column);
  // for s in 0..STRIPS
  var upper_${s} = mat4x4f();
  var lower_${s} = mat4x4f();
  // end
  let steps = params.segments / 3u * params.inner;
  var segment = 0u;
  var k = 0u;
  // for s in 0..STRIPS
  var segment_a_${s} = row_segment(upper_rows_${s}, segment);
  var segment_m_${s} = row_segment(lower_rows_${s}, segment);
  var segment_z_${s} = row_segment(lower_rows_${s}, segment + 2u);
  // end
  var filters_${t} = column_segment(columns, segment + ${t}u);  // for t in 0..3
  var step = 0u;
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off.
  loop {
    let b_${t} = load_b(filters_${t}, k);  // for t in 0..3
    // for s in 0..STRIPS
    let a_${s} = load_a(segment_a_${s}, k);
    let m_${s} = load_a(segment_m_${s}, k);
    let z_${s} = load_a(segment_z_${s}, k);
    upper_${s} += b_0 * a_${s};
    upper_${s} += b_1 * mat4x4f(a_${s}[1], a_${s}[2], a_${s}[3], m_${s}[0]);
    upper_${s} += b_2 * mat4x4f(a_${s}[2], a_${s}[3], m_${s}[0], m_${s}[1]);
    lower_${s} += b_0 * m_${s};
    lower_${s} += b_1 * mat4x4f(m_${s}[1], m_${s}[2], m_${s}[3], z_${s}[2]);
    lower_${s} += b_2 * mat4x4f(m_${s}[2], m_${s}[3], z_${s}[2], z_${s}[3]);
    // end
    k++;
    if (k == params.inner) {
      k = 0u;
      segment += 3u;
      // for s in 0..STRIPS
      segment_a_${s} = row_segment(upper_rows_${s}, segment);
      segment_m_${s} = row_segment(lower_rows_${s}, segment);
      segment_z_${s} = row_segment(lower_rows_${s}, segment + 2u);
      // end
      filters_${t} = column_segment(columns, segment + ${t}u);  // for t in 0..3
    }
    step++;
    if (step >= steps) {
      break;
    }
  }
  // for s in 0..STRIPS
  store_block(row + ${8 * s}u, column, group.z, upper_${s});
  store_block(row + ${8 * s + 4}u, column, group.z, lower_${s});
  // end
}
