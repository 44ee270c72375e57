// Solves L^T w = y for a batch of factored systems, y the line of the right side, block by block from the last:
//
//   w_k = L_kk^-T (y_k - sum over lines i below block k of L_ik^T w_i)
//
// systems and inverses as refit/factor_panel.wgsl leaves them, solutions (systems, 4 quads) floats. One workgroup solves
// one system: each invocation adds every 64th line, four of them the 64 sums of four columns each, in order.
// Source: Golub and Van Loan, Matrix Computations, 4th ed., section 3.1.

struct Params {
  rows: u32,
  quads: u32,
  blocks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> systems: array<vec4f>;
@group(0) @binding(2) var<storage, read> inverses: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> solutions: array<f32>;

var<workgroup> partial_sums: array<vec4f, 256>;
var<workgroup> right_side: array<vec4f, 4>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let system = group.y * groups.x + group.x;
  let size = 4u * params.quads;
  let top = system * params.rows * params.quads;
  let out = system * size;
  for (var step = 0u; step < params.blocks; step++) {
    let block = params.blocks - 1u - step;
    var sum_0 = vec4f(0.0);
    var sum_1 = vec4f(0.0);
    var sum_2 = vec4f(0.0);
    var sum_3 = vec4f(0.0);
    for (var line = 16u * (block + 1u) + lane; line < size; line += 64u) {
      let start = top + line * params.quads + 4u * block;
      let w = solutions[out + line];
      sum_0 += w * read_systems(start);
      sum_1 += w * read_systems(start + 1u);
      sum_2 += w * read_systems(start + 2u);
      sum_3 += w * read_systems(start + 3u);
    }
    partial_sums[4u * lane] = sum_0;
    partial_sums[4u * lane + 1u] = sum_1;
    partial_sums[4u * lane + 2u] = sum_2;
    partial_sums[4u * lane + 3u] = sum_3;
    workgroupBarrier();
    if (lane < 4u) {
      var sum = read_systems(top + size * params.quads + 4u * block + lane);
      for (var i = 0u; i < 64u; i++) {
        sum -= partial_sums[4u * i + lane];
      }
      right_side[lane] = sum;
    }
    workgroupBarrier();
    if (lane < 16u) {
      let tile = 64u * (system * params.blocks + block) + 4u * (lane / 4u) + lane % 4u;
      var w = 0.0;
      for (var i = lane / 4u; i < 4u; i++) {
        w += dot(read_inverses(tile + 16u * i), right_side[i]);
      }
      solutions[out + 16u * block + lane] = w;
    }
    storageBarrier();
  }
}
