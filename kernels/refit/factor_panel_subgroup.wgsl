// Factors the lines of a block column, as refit/factor_panel.wgsl does and in the same order, with subgroups of 8: a
// workgroup takes lines of one system, 8 a lane. Each lane loads one tile of the 32 lines that all of them read, and every
// lane takes it from there by a broadcast of a constant lane. All bounds come from params and workgroup_id, so that
// control flow is uniform around the broadcasts.
// Only for adapters on which a probe (src/gpu/subgroups.ts) found subgroups of SUBGROUP_SIZE lanes.

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
  var c_0 = mat4x4f();
  var c_1 = mat4x4f();
  var c_2 = mat4x4f();
  var c_3 = mat4x4f();
  var c_4 = mat4x4f();
  var c_5 = mat4x4f();
  var c_6 = mat4x4f();
  var c_7 = mat4x4f();
  var e_0 = mat4x4f();
  var e_1 = mat4x4f();
  var e_2 = mat4x4f();
  var e_3 = mat4x4f();
  var e_4 = mat4x4f();
  var e_5 = mat4x4f();
  var e_6 = mat4x4f();
  var e_7 = mat4x4f();
  var q = first_quad(line_of(2u * first_group));
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off.
  if (q < 8u * params.block) {
    loop {
      // Block columns that do not have the identity's lines yet: the last lines behind the right side are zero.
      let own_line = select(params.size + 4u, line, q >= first);
      let next_line = select(params.size + 4u, line + 4u, q >= first);
      let start_0 = column_start(system, q);
      let b_0 = transpose(load_lines(start_0 + shared_line));
      let a_00 = load_lines(start_0 + own_line);
      let a_01 = load_lines(start_0 + next_line);
      let b_00 = from_lane_0(b_0);
      c_0 += b_00 * a_00;
      e_0 += b_00 * a_01;
      let b_01 = from_lane_1(b_0);
      c_1 += b_01 * a_00;
      e_1 += b_01 * a_01;
      let b_02 = from_lane_2(b_0);
      c_2 += b_02 * a_00;
      e_2 += b_02 * a_01;
      let b_03 = from_lane_3(b_0);
      c_3 += b_03 * a_00;
      e_3 += b_03 * a_01;
      let b_04 = from_lane_4(b_0);
      c_4 += b_04 * a_00;
      e_4 += b_04 * a_01;
      let b_05 = from_lane_5(b_0);
      c_5 += b_05 * a_00;
      e_5 += b_05 * a_01;
      let b_06 = from_lane_6(b_0);
      c_6 += b_06 * a_00;
      e_6 += b_06 * a_01;
      let b_07 = from_lane_7(b_0);
      c_7 += b_07 * a_00;
      e_7 += b_07 * a_01;
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
