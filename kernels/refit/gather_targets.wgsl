// Gathers the targets of a refit at sampled output positions, less a shift that keeps Gram sums from losing digits:
//
//   v[sample, first + o] = target_values[t, o] - shift_scale shift_sums[first + o]
//                          + (skip_dense[t, o] - skip_pruned[p, o]) / alpha[o]
//
// (p, t) = positions[sample] are lines of the tensors. If p is NONE, the row is zero. With HAS_SKIP the last term
// is added, unless |alpha| < 1e-3. It is what the pruned network's skip connection lacks at the end of a residual
// block, taken back through the batch norm that multiplies by alpha.
// Shapes: target_values, skip_dense and skip_pruned (lines, out_quads); alpha (out_quads); v (samples, quads),
// where first is the float behind patch_quads; shift_sums (quads). One invocation computes one quad. Dispatched by
// src/prune/refit/gram.ts.

// include dispatch

const NONE = 0xffffffffu;

// Below this a channel's batch norm passes too little on for its target to make up for the skip connection.
const LEAST_ALPHA = 1e-3;

override HAS_SKIP: bool = false;

struct Params {
  samples: u32,
  quads: u32,
  patch_quads: u32,
}

struct Step {
  shift_scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> target_values: array<vec4f>;
@group(0) @binding(3) var<storage, read> skip_dense: array<vec4f>;
@group(0) @binding(4) var<storage, read> skip_pruned: array<vec4f>;
@group(0) @binding(5) var<storage, read> alpha: array<vec4f>;
@group(0) @binding(6) var<storage, read> positions: array<vec2u>;
@group(0) @binding(7) var<storage, read> shift_sums: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> v: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let out_quads = params.quads - params.patch_quads;
  let index = invocation_index(invocation, 64u);
  let sample = index / out_quads;
  if (sample >= params.samples) {
    return;
  }
  let quad = index - sample * out_quads;
  let is_sample = positions[sample].x != NONE;
  let own = select(0u, positions[sample].x, is_sample) * out_quads + quad;
  let wanted = select(0u, positions[sample].y, is_sample) * out_quads + quad;
  var value = read_target_values(wanted) - step.shift_scale * read_shift_sums(params.patch_quads + quad);
  if (HAS_SKIP) {
    let scale = read_alpha(quad);
    let counts = abs(scale) >= vec4f(LEAST_ALPHA);
    let lack = read_skip_dense(wanted) - read_skip_pruned(own);
    value += select(vec4f(0.0), lack / select(vec4f(1.0), scale, counts), counts);
  }
  write_v(sample * params.quads + params.patch_quads + quad, select(vec4f(0.0), value, is_sample));
}
