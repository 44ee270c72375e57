// Cores of matrix products for GPUs. A workgroup computes a tile of ROWS x COLUMNS through workgroup memory.
//
//   c[row, column] = sum over k of a[row, k] b[k, column]
//
// The functions that an operation gives are those of gemm/software/register.wgsl. Each invocation holds a block of
// LANE_ROWS x LANE_COLUMNS as 4 x 4 matrices. Every pass covers DEPTH quads of k. Each invocation loads its part of
// the 4 x 4 matrices of a and b into workgroup memory, k-major, so that the inner loop reads quads. With two
// BUFFERS, passes use them in turn and wait for each other once, not twice. workgroup_id.z is the split of the
// segments. Each sum is in the order of k.
// The sizes are in src/kernels/core_table.ts; for, if and ${} are explained in src/kernels/expand.ts. LANE_ROWS
// divides ROWS. LANE_COLUMNS divides COLUMNS. DEPTH divides the number of invocations, which is at most 256.
// Workgroup memory takes 16 BUFFERS DEPTH (ROWS + COLUMNS) bytes, at most 16,384 on every adapter. Dispatched by
// src/kernels/core_table.ts.
// Source: Volkov and Demmel 2008, "Benchmarking GPUs to tune dense linear algebra".

// let ROW_STRIPS = ROWS / 4
// let COLUMN_STRIPS = COLUMNS / 4
// let LANES_WIDE = COLUMNS / LANE_COLUMNS
// let LANES = ROWS / LANE_ROWS * LANES_WIDE
// Strips that all invocations together load at once, and how often they do.
// let STRIPS_AT_ONCE = LANES / DEPTH
// let LOADS_A = (ROW_STRIPS + STRIPS_AT_ONCE - 1) / STRIPS_AT_ONCE
// let LOADS_B = (COLUMN_STRIPS + STRIPS_AT_ONCE - 1) / STRIPS_AT_ONCE
// True where the strips do not divide by those: then some invocations load none.
// let PARTIAL = ROW_STRIPS % STRIPS_AT_ONCE + COLUMN_STRIPS % STRIPS_AT_ONCE
// let LANE_ROW_STRIPS = LANE_ROWS / 4
// let LANE_COLUMN_STRIPS = LANE_COLUMNS / 4

const BLOCK_ROWS = ${ROWS}u;
const BLOCK_COLUMNS = ${COLUMNS}u;
const BLOCKS_PER_WORKGROUP = 1u;

var<workgroup> tile_a: array<vec4f, ${BUFFERS * DEPTH * ROWS}>;
var<workgroup> tile_b: array<vec4f, ${BUFFERS * DEPTH * COLUMNS}>;

// The outer product of two quads: column r is a[r] * b.
fn outer(a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(a.x * b, a.y * b, a.z * b, a.w * b);
}

@compute @workgroup_size(${LANES})
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
  // Loading: DEPTH lanes share a strip of four rows, so that they read neighbouring quads of k.
  let strip = lane / ${DEPTH}u;
  let quad = lane % ${DEPTH}u;
  let rows_${l} = rows_at(row + 4u * strip + ${4 * l * STRIPS_AT_ONCE}u);  // for l in 0..LOADS_A
  let columns_${l} = columns_at(column + 4u * strip + ${4 * l * STRIPS_AT_ONCE}u);  // for l in 0..LOADS_B
  // Multiplying: a grid of the lanes' blocks.
  let strip_a = ${LANE_ROW_STRIPS}u * (lane / ${LANES_WIDE}u);
  let strip_b = ${LANE_COLUMN_STRIPS}u * (lane % ${LANES_WIDE}u);
  var c_${i}_${j} = mat4x4f();  // for i in 0..LANE_ROW_STRIPS, j in 0..LANE_COLUMN_STRIPS
  let first = group.z * params.segments_per_split;
  let last = min(first + params.segments_per_split, params.segments);
  let end = max(first, last) * params.inner;
  // if BUFFERS > 1
  var buffer = 0u;
  // end
  for (var start = first * params.inner; start < end; start += ${DEPTH}u) {
    var loaded_a_${l} = mat4x4f();  // for l in 0..LOADS_A
    var loaded_b_${l} = mat4x4f();  // for l in 0..LOADS_B
    let flat = start + quad;
    if (flat < end) {
      let segment = flat / params.inner;
      let k = flat - segment * params.inner;
      // if PARTIAL
      // for l in 0..LOADS_A
      if (strip + ${l * STRIPS_AT_ONCE}u < ${ROW_STRIPS}u) {
        loaded_a_${l} = transpose(load_a(row_segment(rows_${l}, segment), k));
      }
      // end
      // for l in 0..LOADS_B
      if (strip + ${l * STRIPS_AT_ONCE}u < ${COLUMN_STRIPS}u) {
        loaded_b_${l} = load_b(column_segment(columns_${l}, segment), k);
      }
      // end
      // else
      loaded_a_${l} = transpose(load_a(row_segment(rows_${l}, segment), k));  // for l in 0..LOADS_A
      loaded_b_${l} = load_b(column_segment(columns_${l}, segment), k);  // for l in 0..LOADS_B
      // end
    }
    // if BUFFERS > 1
    let offset = buffer + 4u * quad;
    // else
    let offset = 4u * quad;
    // end
    for (var j = 0u; j < 4u; j++) {
      // if PARTIAL
      // for l in 0..LOADS_A
      if (strip + ${l * STRIPS_AT_ONCE}u < ${ROW_STRIPS}u) {
        tile_a[(offset + j) * ${ROW_STRIPS}u + strip + ${l * STRIPS_AT_ONCE}u] = loaded_a_${l}[j];
      }
      // end
      // for l in 0..LOADS_B
      if (strip + ${l * STRIPS_AT_ONCE}u < ${COLUMN_STRIPS}u) {
        tile_b[(offset + j) * ${COLUMN_STRIPS}u + strip + ${l * STRIPS_AT_ONCE}u] = loaded_b_${l}[j];
      }
      // end
      // else
      tile_a[(offset + j) * ${ROW_STRIPS}u + strip + ${l * STRIPS_AT_ONCE}u] = loaded_a_${l}[j];  // for l in 0..LOADS_A
      tile_b[(offset + j) * ${COLUMN_STRIPS}u + strip + ${l * STRIPS_AT_ONCE}u] = loaded_b_${l}[j];  // for l in 0..LOADS_B
      // end
    }
    workgroupBarrier();
    // if BUFFERS > 1
    for (var k = buffer; k < buffer + ${4 * DEPTH}u; k++) {
    // else
    for (var k = 0u; k < ${4 * DEPTH}u; k++) {
    // end
      let a_${i} = tile_a[k * ${ROW_STRIPS}u + strip_a + ${i}u];  // for i in 0..LANE_ROW_STRIPS
      let b_${j} = tile_b[k * ${COLUMN_STRIPS}u + strip_b + ${j}u];  // for j in 0..LANE_COLUMN_STRIPS
      c_${i}_${j} += outer(a_${i}, b_${j});  // for i in 0..LANE_ROW_STRIPS, j in 0..LANE_COLUMN_STRIPS
    }
    // if BUFFERS > 1
    buffer = ${4 * DEPTH}u - buffer;
    // else
    workgroupBarrier();
    // end
  }
  let block_row = row + 4u * strip_a;
  let block_column = column + 4u * strip_b;
  // for i in 0..LANE_ROW_STRIPS, j in 0..LANE_COLUMN_STRIPS
  store_block(block_row + ${4 * i}u, block_column + ${4 * j}u, group.z, c_${i}_${j});
  // end
}
