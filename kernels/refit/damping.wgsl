// Computes the damping of a refit, a share of the mean variance of the layer's inputs:
//
//   damping[0] = max(share * mean over real columns of H[i, i], 1e-12)
//
// H is the packed covariance (refit/packed.wgsl) of `columns` columns. Channels lie in quads, and padding is no
// real column: column i is real if i mod width < channels. The floor serves inputs that are always zero. If a
// variance is not finite, the damping is the word NOT_FINITE.
// One workgroup runs. Each invocation adds every 64th column; the first adds the 64 sums in order. Dispatched by
// src/prune/refit/solve.ts.

// include math/finite
// include refit/packed

struct Params {
  columns: u32,
  width: u32,
  channels: u32,
  share: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> covariance: array<f32>;
@group(0) @binding(2) var<storage, read_write> damping: array<u32>;

var<workgroup> sums: array<f32, 64>;
var<workgroup> bad_variances: atomic<u32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < params.columns; i += 64u) {
    if (i % params.width < params.channels) {
      let variance = covariance[packed_index(i, i, params.columns)];
      if (!is_finite(variance)) {
        atomicAdd(&bad_variances, 1u);
      }
      sum += variance;
    }
  }
  sums[lane] = sum;
  workgroupBarrier();
  if (lane == 0u) {
    var total = 0.0;
    for (var i = 0u; i < 64u; i++) {
      total += sums[i];
    }
    let mean = total / f32(params.columns / params.width * params.channels);
    let is_sound = atomicLoad(&bad_variances) == 0u && is_finite(mean);
    damping[0] = finite_word(max(params.share * mean, 1e-12), is_sound);
  }
}
