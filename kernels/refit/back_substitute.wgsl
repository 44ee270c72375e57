// Solves L^T w = y for a batch of factored systems, where y is the line of the right side. It goes block by block
// from the last:
//
//   w_k = L_kk^-T (y_k - sum over lines i below block k of L_ik^T w_i)
//
// The two halves of L_kk are solved one after the other, the second first.
// Shapes: systems and inverses (refit/systems.wgsl), as refit/factor_panel.wgsl leaves them; solutions (systems,
// size) floats. One workgroup solves one system. Each invocation adds every 16th line; eight of them add the 16
// sums of four columns each, in order. Dispatched by src/prune/refit/solve.ts.
// Source: Golub and Van Loan, Matrix Computations, 4th ed., section 3.1.

// include refit/systems

struct Params {
  systems: u32,
  size: u32,
  lines: u32,
  shrink: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> systems: array<vec4f>;
@group(0) @binding(2) var<storage, read> inverses: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> solutions: array<f32>;

// Columns of a half of a diagonal block.
const LANES = 16u;

var<workgroup> partial_sums: array<vec4f, 8 * LANES>;
// What stands on the right of the block's columns, quads of the first half then of the second; and its solution.
var<workgroup> right_sides: array<f32, 32>;
var<workgroup> solved: array<f32, 32>;

// Column `lane` of the transposed lower triangle of a part of a record, times what stands on the right.
fn triangle_product(start: u32, lane: u32, first: u32) -> f32 {
  var w = 0.0;
  for (var i = lane / 4u; i < 4u; i++) {
    let j = first + 4u * i;
    let right = vec4f(right_sides[j], right_sides[j + 1u], right_sides[j + 2u], right_sides[j + 3u]);
    w += dot(read_inverses(start + 16u * i + lane), right);
  }
  return w;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let system = group.y * groups.x + group.x;
  if (system >= params.systems) {
    return;
  }
  let blocks = params.size / 32u;
  let out = system * params.size;
  for (var step = 0u; step < blocks; step++) {
    let block = blocks - 1u - step;
    let record = record_start(system, block);
    // All quads of a block column are equally long.
    let start = column_start(system, 8u * block);
    let stride = params.lines - params.shrink * block;
    var sum_0 = vec4f(0.0);
    var sum_1 = vec4f(0.0);
    var sum_2 = vec4f(0.0);
    var sum_3 = vec4f(0.0);
    var sum_4 = vec4f(0.0);
    var sum_5 = vec4f(0.0);
    var sum_6 = vec4f(0.0);
    var sum_7 = vec4f(0.0);
    for (var line = 32u * (block + 1u) + lane; line < params.size; line += LANES) {
      let w = solutions[out + line];
      sum_0 += w * read_systems(start + line);
      sum_1 += w * read_systems(start + stride + line);
      sum_2 += w * read_systems(start + 2u * stride + line);
      sum_3 += w * read_systems(start + 3u * stride + line);
      sum_4 += w * read_systems(start + 4u * stride + line);
      sum_5 += w * read_systems(start + 5u * stride + line);
      sum_6 += w * read_systems(start + 6u * stride + line);
      sum_7 += w * read_systems(start + 7u * stride + line);
    }
    partial_sums[8u * lane] = sum_0;
    partial_sums[8u * lane + 1u] = sum_1;
    partial_sums[8u * lane + 2u] = sum_2;
    partial_sums[8u * lane + 3u] = sum_3;
    partial_sums[8u * lane + 4u] = sum_4;
    partial_sums[8u * lane + 5u] = sum_5;
    partial_sums[8u * lane + 6u] = sum_6;
    partial_sums[8u * lane + 7u] = sum_7;
    workgroupBarrier();
    if (lane < 8u) {
      var sum = read_systems(start + lane * stride + params.size);
      for (var i = 0u; i < LANES; i++) {
        sum -= partial_sums[8u * i + lane];
      }
      right_sides[4u * lane] = sum.x;
      right_sides[4u * lane + 1u] = sum.y;
      right_sides[4u * lane + 2u] = sum.z;
      right_sides[4u * lane + 3u] = sum.w;
    }
    workgroupBarrier();
    solved[16u + lane] = triangle_product(record + 64u, lane, 16u);
    workgroupBarrier();
    var right_side = right_sides[lane];
    for (var i = 0u; i < 4u; i++) {
      let j = 16u + 4u * i;
      let w = vec4f(solved[j], solved[j + 1u], solved[j + 2u], solved[j + 3u]);
      right_side -= dot(read_inverses(record + 128u + 16u * i + lane), w);
    }
    right_sides[lane] = right_side;
    workgroupBarrier();
    solved[lane] = triangle_product(record, lane, 0u);
    solutions[out + 32u * block + lane] = solved[lane];
    solutions[out + 32u * block + 16u + lane] = solved[16u + lane];
    storageBarrier();
  }
}
