// Core of batch norm's statistics: merges the moments of chunks of rows into the mean and variance of every column,
// and has the operation update the running ones:
//
//   variance = deviations / rows;   update(mean, variance of column quad)
//
// An operation's file gives Params with rows, quads, chunks, chunk_rows and lanes, the bindings, and update(quad, mean,
// variance).
// Shapes: moments (chunks, 2, quads), from reduce/moments.wgsl; mean and variance (quads). params.lanes invocations, a
// power of two, compute one quad: each merges every so manieth chunk in order, and these are merged in order.
// Dispatched by src/kernels/reduce.ts.

// include reduce/merge_lanes

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let width = 64u / params.lanes;
  let quad = (group.y * groups.x + group.x) * width + lane % width;
  let own = lane / width;
  var merged = Moments(0.0, vec4f(0.0), vec4f(0.0));
  if (quad < params.quads) {
    for (var chunk = own; chunk < params.chunks; chunk += params.lanes) {
      let at = 2u * chunk * params.quads + quad;
      let count = min(params.chunk_rows, params.rows - chunk * params.chunk_rows);
      merged = merge(merged, Moments(f32(count), read_moments(at), read_moments(at + params.quads)));
    }
  }
  merged = merge_lanes(merged, lane, width, params.lanes);
  if (quad >= params.quads || own > 0u) {
    return;
  }
  let variance = merged.deviations / f32(params.rows);
  write_mean(quad, merged.mean);
  write_variance(quad, variance);
  update(quad, merged.mean, variance);
}
