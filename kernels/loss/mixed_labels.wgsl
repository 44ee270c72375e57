// Corrects the cross-entropy of mixed images. Row n was computed for its own label. Here it also gets the label of
// its partner, row m = rows - 1 - n, as data/mix_images.wgsl mixed the images:
//
//   loss[n]         = shares[n] CE(z_n, label[n]) + (1 - shares[n]) CE(z_n, label[m])
//   dz[n, label[n]] += (1 - s) (1 - shares[n]) / rows,   dz[n, label[m]] -= (1 - s) (1 - shares[n]) / rows
//
// Here s is the label smoothing; both labels share its uniform part. The losses (words) and dlogits are those of
// loss/softmax_cross_entropy.wgsl, of a whole batch. A loss that is not finite stays so.
// Shapes: logits and dlogits (rows, stride), a row being stride floats with padding at its end; labels, shares and
// losses (rows). One invocation computes one row, which takes two logits and two gradients. Dispatched by
// src/plan/mixup.ts.
// Source: Zhang et al. 2018, arXiv 1710.09412 (mixup).

// include dispatch
// include math/finite

struct Params {
  rows: u32,
  stride: u32,
  smoothing: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> shares: array<f32>;
@group(0) @binding(4) var<storage, read_write> losses: array<u32>;
@group(0) @binding(5) var<storage, read_write> dlogits: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let row = invocation_index(invocation, 64u);
  if (row >= params.rows) {
    return;
  }
  let label = labels[row];
  let other = labels[params.rows - 1u - row];
  if (label == other) {
    return;
  }
  let own_at = row * params.stride + label;
  let other_at = row * params.stride + other;
  let moved = (1.0 - params.smoothing) * (1.0 - shares[row]);
  let loss = word_or_zero(losses[row]) + moved * (logits[own_at] - logits[other_at]);
  losses[row] = finite_word(loss, is_finite_word(losses[row]));
  let gradient = moved / f32(params.rows);
  dlogits[own_at] += gradient;
  dlogits[other_at] -= gradient;
}
