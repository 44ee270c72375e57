// Adds the distance between features to the losses, relative to the size of the teacher's features in the batch:
//
//   loss[n] += weight rows distances[n] / S,   S = sum over rows of squares[n]        (nothing if S is zero)
//   slope = 2 weight / S
//
// FIRST: loss[n] = that, where no other loss was there before.
// The slope times the difference of the features is the gradient of the mean loss (loss/feature_gradient.wgsl). The
// distances and squares are those of loss/feature_distances.wgsl, of a whole batch. A loss becomes the word
// NOT_FINITE if a term is not finite.
// Shapes: distances, squares and losses (rows); slope (1). One invocation computes one row. Each adds all squares
// in the order of the rows. Dispatched by src/plan/features.ts.

// include math/finite

// include dispatch

override FIRST: bool = false;

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
  var before = 0u;
  if (!FIRST) {
    before = losses[row];
  }
  let loss = bitcast<f32>(before) + f32(params.rows) * (scale * distances[row]);
  let is_sound = is_finite_word(before) && is_finite(size) && is_finite(distances[row]);
  losses[row] = finite_word(loss, is_sound);
  if (row == 0u) {
    slope[0] = 2.0 * scale;
  }
}
