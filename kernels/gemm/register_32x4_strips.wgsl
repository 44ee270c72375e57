// Matrix product core for convolutions of three taps a line: a block of 32 rows x 4 columns an invocation, held in
// registers as 4 x 4 matrices, in strips of 8 rows whose pixels lie side by side.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// For the functions that an operation's file gives see gemm/register_8x8.wgsl. What a strip reads under one tap it reads,
// moved by one row, under the next: under three taps that follow each other, from a multiple of three on, 10 quads, not
// 24: a_s the first four of strip s, m_s the next four, z_s four from the seventh on, of which the last two are needed.
// One workgroup computes 8 blocks that follow each other down the rows. Only for products whose rows and taps lie so
// (rowOrders in src/kernels/cores.ts), of which no sum is split.
// Source: the register blocking of direct convolutions, Georganas et al. 2018, arXiv 1808.05567.

const BLOCK_ROWS = 32u;
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
  let rows_0a = rows_at(row + 0u);
  let rows_0b = rows_at(row + 4u);
  let rows_1a = rows_at(row + 8u);
  let rows_1b = rows_at(row + 12u);
  let rows_2a = rows_at(row + 16u);
  let rows_2b = rows_at(row + 20u);
  let rows_3a = rows_at(row + 24u);
  let rows_3b = rows_at(row + 28u);
  let columns = columns_at(column);
  var c_0 = mat4x4f();
  var c_1 = mat4x4f();
  var c_2 = mat4x4f();
  var c_3 = mat4x4f();
  var c_4 = mat4x4f();
  var c_5 = mat4x4f();
  var c_6 = mat4x4f();
  var c_7 = mat4x4f();
  let steps = params.segments / 3u * params.inner;
  var segment = 0u;
  var k = 0u;
  var strip_0a = row_segment(rows_0a, segment);
  var strip_0b = row_segment(rows_0b, segment);
  var strip_0c = row_segment(rows_0b, segment + 2u);
  var strip_1a = row_segment(rows_1a, segment);
  var strip_1b = row_segment(rows_1b, segment);
  var strip_1c = row_segment(rows_1b, segment + 2u);
  var strip_2a = row_segment(rows_2a, segment);
  var strip_2b = row_segment(rows_2b, segment);
  var strip_2c = row_segment(rows_2b, segment + 2u);
  var strip_3a = row_segment(rows_3a, segment);
  var strip_3b = row_segment(rows_3b, segment);
  var strip_3c = row_segment(rows_3b, segment + 2u);
  var filters_0 = column_segment(columns, segment);
  var filters_1 = column_segment(columns, segment + 1u);
  var filters_2 = column_segment(columns, segment + 2u);
  var step = 0u;
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off.
  loop {
    let b_0 = load_b(filters_0, k);
    let b_1 = load_b(filters_1, k);
    let b_2 = load_b(filters_2, k);
    let a_0 = load_a(strip_0a, k);
    let m_0 = load_a(strip_0b, k);
    let z_0 = load_a(strip_0c, k);
    c_0 += b_0 * a_0;
    c_0 += b_1 * mat4x4f(a_0[1], a_0[2], a_0[3], m_0[0]);
    c_0 += b_2 * mat4x4f(a_0[2], a_0[3], m_0[0], m_0[1]);
    c_1 += b_0 * m_0;
    c_1 += b_1 * mat4x4f(m_0[1], m_0[2], m_0[3], z_0[2]);
    c_1 += b_2 * mat4x4f(m_0[2], m_0[3], z_0[2], z_0[3]);
    let a_1 = load_a(strip_1a, k);
    let m_1 = load_a(strip_1b, k);
    let z_1 = load_a(strip_1c, k);
    c_2 += b_0 * a_1;
    c_2 += b_1 * mat4x4f(a_1[1], a_1[2], a_1[3], m_1[0]);
    c_2 += b_2 * mat4x4f(a_1[2], a_1[3], m_1[0], m_1[1]);
    c_3 += b_0 * m_1;
    c_3 += b_1 * mat4x4f(m_1[1], m_1[2], m_1[3], z_1[2]);
    c_3 += b_2 * mat4x4f(m_1[2], m_1[3], z_1[2], z_1[3]);
    let a_2 = load_a(strip_2a, k);
    let m_2 = load_a(strip_2b, k);
    let z_2 = load_a(strip_2c, k);
    c_4 += b_0 * a_2;
    c_4 += b_1 * mat4x4f(a_2[1], a_2[2], a_2[3], m_2[0]);
    c_4 += b_2 * mat4x4f(a_2[2], a_2[3], m_2[0], m_2[1]);
    c_5 += b_0 * m_2;
    c_5 += b_1 * mat4x4f(m_2[1], m_2[2], m_2[3], z_2[2]);
    c_5 += b_2 * mat4x4f(m_2[2], m_2[3], z_2[2], z_2[3]);
    let a_3 = load_a(strip_3a, k);
    let m_3 = load_a(strip_3b, k);
    let z_3 = load_a(strip_3c, k);
    c_6 += b_0 * a_3;
    c_6 += b_1 * mat4x4f(a_3[1], a_3[2], a_3[3], m_3[0]);
    c_6 += b_2 * mat4x4f(a_3[2], a_3[3], m_3[0], m_3[1]);
    c_7 += b_0 * m_3;
    c_7 += b_1 * mat4x4f(m_3[1], m_3[2], m_3[3], z_3[2]);
    c_7 += b_2 * mat4x4f(m_3[2], m_3[3], z_3[2], z_3[3]);
    k++;
    if (k == params.inner) {
      k = 0u;
      segment += 3u;
      strip_0a = row_segment(rows_0a, segment);
      strip_0b = row_segment(rows_0b, segment);
      strip_0c = row_segment(rows_0b, segment + 2u);
      strip_1a = row_segment(rows_1a, segment);
      strip_1b = row_segment(rows_1b, segment);
      strip_1c = row_segment(rows_1b, segment + 2u);
      strip_2a = row_segment(rows_2a, segment);
      strip_2b = row_segment(rows_2b, segment);
      strip_2c = row_segment(rows_2b, segment + 2u);
      strip_3a = row_segment(rows_3a, segment);
      strip_3b = row_segment(rows_3b, segment);
      strip_3c = row_segment(rows_3b, segment + 2u);
      filters_0 = column_segment(columns, segment);
      filters_1 = column_segment(columns, segment + 1u);
      filters_2 = column_segment(columns, segment + 2u);
    }
    step++;
    if (step >= steps) {
      break;
    }
  }
  store_block(row + 0u, column, group.z, c_0);
  store_block(row + 4u, column, group.z, c_1);
  store_block(row + 8u, column, group.z, c_2);
  store_block(row + 12u, column, group.z, c_3);
  store_block(row + 16u, column, group.z, c_4);
  store_block(row + 20u, column, group.z, c_5);
  store_block(row + 24u, column, group.z, c_6);
  store_block(row + 28u, column, group.z, c_7);
}
