// Turns cross-entropy towards the label of each row into cross-entropy towards a mix with the label of its partner, row
// m = rows - 1 - n, as data/mix_images.wgsl mixes their images:
//
//   loss[n]        = shares[n] CE(z_n, label[n]) + (1 - shares[n]) CE(z_n, label[m])
//   dz[n, label[n]] += (1 - s) (1 - shares[n]) / rows,   dz[n, label[m]] -= (1 - s) (1 - shares[n]) / rows
//
// with label smoothing s, whose uniform part both labels share. losses, as words, and dlogits come from
// loss/softmax_cross_entropy.wgsl, of whole batches; a loss that is not finite stays so. logits and dlogits (rows, stride), stride floats apart with padding
// at the end; labels, shares and losses (rows). One invocation computes one row: two logits and two gradients.
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
