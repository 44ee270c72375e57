// Matrix product core: a tile of 64 rows x 64 columns a workgroup, through workgroup memory.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// For the functions that an operation's file gives see gemm/register_8x8.wgsl. 64 invocations hold 8 x 8 values
// each as four 4 x 4 matrices. Every pass over 16 values of k, each invocation loads one 4 x 4 matrix of a and one
// of b into workgroup memory (8 KiB), k-major, so that the inner loop reads quads. workgroup_id.z is the split of
// the segments; each sums in the order of k.
// Source: Volkov and Demmel 2008, "Benchmarking GPUs to tune dense linear algebra".

const BLOCK_ROWS = 64u;
const BLOCK_COLUMNS = 64u;
const BLOCKS_PER_WORKGROUP = 1u;

var<workgroup> tile_a: array<vec4f, 256>;
var<workgroup> tile_b: array<vec4f, 256>;

// The outer product of two quads: column r is a[r] * b.
fn outer(a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(a.x * b, a.y * b, a.z * b, a.w * b);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = group.y * groups.x + group.x;
  let row_blocks = (params.rows + BLOCK_ROWS - 1u) / BLOCK_ROWS;
  let row = (block % row_blocks) * BLOCK_ROWS;
  let column = (block / row_blocks) * BLOCK_COLUMNS;
  if (column >= params.columns) {
    return;
  }
  // Loading: four lanes share a strip of four rows, so that they read neighbouring quads of k.
  let strip = lane / 4u;
  let quad = lane % 4u;
  let rows = rows_at(row + 4u * strip);
  let columns = columns_at(column + 4u * strip);
  // Multiplying: an 8 x 8 grid of blocks.
  let strip_a = 2u * (lane / 8u);
  let strip_b = 2u * (lane % 8u);
  var c_00 = mat4x4f();
  var c_01 = mat4x4f();
  var c_10 = mat4x4f();
  var c_11 = mat4x4f();
  let first = group.z * params.segments_per_split;
  let last = min(first + params.segments_per_split, params.segments);
  let end = max(first, last) * params.inner;
  for (var start = first * params.inner; start < end; start += 4u) {
    var a = mat4x4f();
    var b = mat4x4f();
    let flat = start + quad;
    if (flat < end) {
      let segment = flat / params.inner;
      let k = flat - segment * params.inner;
      a = transpose(load_a(row_segment(rows, segment), k));
      b = load_b(column_segment(columns, segment), k);
    }
    for (var j = 0u; j < 4u; j++) {
      tile_a[(4u * quad + j) * 16u + strip] = a[j];
      tile_b[(4u * quad + j) * 16u + strip] = b[j];
    }
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
      let a_0 = tile_a[k * 16u + strip_a];
      let a_1 = tile_a[k * 16u + strip_a + 1u];
      let b_0 = tile_b[k * 16u + strip_b];
      let b_1 = tile_b[k * 16u + strip_b + 1u];
      c_00 += outer(a_0, b_0);
      c_01 += outer(a_0, b_1);
      c_10 += outer(a_1, b_0);
      c_11 += outer(a_1, b_1);
    }
    workgroupBarrier();
  }
  let block_row = row + 4u * strip_a;
  let block_column = column + 4u * strip_b;
  store_block(block_row, block_column, group.z, c_00);
  store_block(block_row, block_column + 4u, group.z, c_01);
  store_block(block_row + 4u, block_column, group.z, c_10);
  store_block(block_row + 4u, block_column + 4u, group.z, c_11);
}
