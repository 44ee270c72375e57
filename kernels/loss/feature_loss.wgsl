// Adds a student's distance from its teacher's features, relative to their size over the batch, to its losses:
//
//   loss[n] += weight rows distances[n] / S,   S = sum over rows of squares[n]        (nothing where S is zero)
//
// and leaves slope = 2 weight / S, by which loss/feature_gradient.wgsl multiplies differences of features: the gradient
// of the mean loss. distances and squares (rows) come from loss/feature_distances.wgsl, of whole batches; losses (rows)
// as words, NOT_FINITE where a term is not finite, slope (1). One invocation computes one row, and adds all squares in the order of the rows.

// include math/finite

// include dispatch

struct Params {
  rows: u32,
  weight: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> distances: array<f32>;
@group(0) @binding(2) var<storage, read> squares: array<f32>;
@group(0) @binding(3) var<storage, read_write> losses: array<u32>;
@group(0) @binding(4) var<storage, read_write> slope: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let row = invocation_index(invocation, 64u);
  if (row >= params.rows) {
    return;
  }
  var size = 0.0;
  for (var n = 0u; n < params.rows; n++) {
    size += squares[n];
  }
  // A teacher whose features are all zero gives no unit to measure a distance in.
  var scale = 0.0;
  if (size != 0.0) {
    scale = params.weight / size;
  }
  let loss = bitcast<f32>(losses[row]) + f32(params.rows) * (scale * distances[row]);
  let is_sound = is_finite_word(losses[row]) && is_finite(size) && is_finite(distances[row]);
  losses[row] = finite_word(loss, is_sound);
  if (row == 0u) {
    slope[0] = 2.0 * scale;
  }
}
