// Factors the lines of a block column like refit/factor_panel.wgsl and in the same order, with subgroups of 8. A
// workgroup takes lines of one system, 8 per lane. Each lane loads one tile of the 32 lines that all lanes read,
// and shares it by a broadcast of a constant lane. All bounds come from params and workgroup_id, so control flow is
// uniform around the broadcasts.
// It runs only on adapters on which a probe (src/gpu/subgroups.ts) found subgroups of SUBGROUP_SIZE lanes.
// Dispatched by src/prune/refit/solve.ts.

// include refit/panel
// include gemm/software/subgroup_broadcast

const SUBGROUP_SIZE = 8u;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // Lines come in eights.
  let lane_groups = line_groups() / 2u;
  let workgroups = (lane_groups + 7u) / 8u;
  let index = group.y * groups.x + group.x;
  let system = index / workgroups;
  if (system >= params.systems) {
    return;
  }
  let first_group = 8u * (index - system * workgroups);
  // Lanes beyond the last lines compute those once more, and store nothing.
  let is_own = first_group + lane < lane_groups;
  let line = line_of(2u * min(first_group + lane, lane_groups - 1u));
  let first = first_quad(line);
  let shared_line = 32u * params.block + 4u * lane;
  var c_${j} = mat4x4f();  // for j in 0..8
  var e_${j} = mat4x4f();  // for j in 0..8
  var q = first_quad(line_of(2u * first_group));
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off.
  if (q < 8u * params.block) {
    loop {
      // Block columns that do not have the identity's lines yet: the last lines behind the right side are zero.
      let own_line = select(params.size + 4u, line, q >= first);
      let next_line = select(params.size + 4u, line + 4u, q >= first);
      let start = column_start(system, q);
      let own = transpose(load_lines(start + shared_line));
      let a_0 = load_lines(start + own_line);
      let a_1 = load_lines(start + next_line);
      // for j in 0..8
      let b_${j} = from_lane_${j}(own);
      c_${j} += b_${j} * a_0;
      e_${j} += b_${j} * a_1;
      // end
      q += 1u;
      if (q >= 8u * params.block) {
        break;
      }
    }
  }
  if (is_own) {
    finish_lines(system, line, Half(c_0, c_1, c_2, c_3), Half(c_4, c_5, c_6, c_7));
    finish_lines(system, line + 4u, Half(e_0, e_1, e_2, e_3), Half(e_4, e_5, e_6, e_7));
  }
}
