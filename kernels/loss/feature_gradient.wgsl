// Adds the gradient of the distance between features to the gradient of the student's features, in place:
//
//   dy += slope (s - t)        (0 where GATED and s <= 0)
//
// FIRST: dy = that, where no other gradient was there before.
// GATED serves features that are the output of a ReLU, if dy has already passed the ReLU's backward pass.
// Shapes: features (s), teacher_features (t) and dy (quads); slope (1), from loss/feature_loss.wgsl. One invocation
// computes one quad. Dispatched by src/plan/features.ts.

// include dispatch

struct Params {
  quads: u32,
}

override GATED: bool = false;
override FIRST: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> features: array<vec4f>;
@group(0) @binding(2) var<storage, read> teacher_features: array<vec4f>;
@group(0) @binding(3) var<storage, read> slope: array<f32>;
@group(0) @binding(4) var<storage, read_write> dy: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let feature = read_features(i);
  var gradient = slope[0] * (feature - read_teacher_features(i));
  if (GATED) {
    gradient = select(vec4f(0.0), gradient, feature > vec4f(0.0));
  }
  if (!FIRST) {
    gradient += read_dy(i);
  }
  write_dy(i, gradient);
}
