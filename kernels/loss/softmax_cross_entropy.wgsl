// Computes the softmax cross-entropy with label smoothing s, its gradient, and the prediction:
//
//   loss[n] = (1 - s) (lse(z_n) - z_n[label]) + s (lse(z_n) - mean over classes of z_n)
//   dz[n, c] = (softmax(z_n)[c] - (1 - s) [c = label] - s / classes) / step.count          (only with GRADIENT)
//   prediction[n] = the first class with the largest logit
//
// Rows from step.count on are padding: their loss and gradient are zero. A row with a logit that is not finite has
// the loss NOT_FINITE. Losses are written as words.
// Shapes: logits and dlogits (rows, quads); labels, losses and predictions (rows). One invocation computes one row
// and adds in the order of the classes. Dispatched by src/plan/loss.ts.
// Source: Szegedy et al. 2016, arXiv 1512.00567, section 7 (label smoothing), as in PyTorch.

// include dispatch
// include math/finite

struct Params {
  rows: u32,
  quads: u32,
  classes: u32,
  smoothing: f32,
}

struct Step {
  count: u32,
}

override GRADIENT: bool = true;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> logits: array<vec4f>;
@group(0) @binding(3) var<storage, read> labels: array<u32>;
@group(0) @binding(4) var<storage, read_write> losses: array<u32>;
@group(0) @binding(5) var<storage, read_write> predictions: array<u32>;
@group(0) @binding(6) var<storage, read_write> dlogits: array<vec4f>;

// The quad's logits, with minus the largest float where there is no class.
fn read_classes(row: u32, quad: u32) -> vec4f {
  let class_index = vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u);
  let value = read_logits(row * params.quads + quad);
  return select(vec4f(-3.4028234e38), value, class_index < vec4u(params.classes));
}

// The same, with 0 where a logit is not finite; its row is marked.
fn read_sound(row: u32, quad: u32) -> vec4f {
  return quad_or_zero(read_classes(row, quad));
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let row = invocation_index(invocation, 64u);
  if (row >= params.rows) {
    return;
  }
  let label = labels[row];
  var largest = -3.4028234e38;
  var prediction = 0u;
  var is_sound = true;
  for (var quad = 0u; quad < params.quads; quad++) {
    is_sound = is_sound && all_finite(read_classes(row, quad));
    let z = read_sound(row, quad);
    for (var j = 0u; j < 4u; j++) {
      if (z[j] > largest) {
        largest = z[j];
        prediction = 4u * quad + j;
      }
    }
  }
  var exponentials = 0.0;
  var sum = 0.0;
  var own = 0.0;
  for (var quad = 0u; quad < params.quads; quad++) {
    let z = read_sound(row, quad);
    for (var j = 0u; j < 4u; j++) {
      let class_index = 4u * quad + j;
      if (class_index < params.classes) {
        exponentials += exp(z[j] - largest);
        sum += z[j] - largest;
        own = select(own, z[j] - largest, class_index == label);
      }
    }
  }
  let real = row < step.count;
  let lse = log(exponentials);
  let mean = sum / f32(params.classes);
  let loss = (1.0 - params.smoothing) * (lse - own) + params.smoothing * (lse - mean);
  losses[row] = select(0u, finite_word(loss, is_sound), real);
  predictions[row] = prediction;
  if (GRADIENT) {
    let uniform_share = params.smoothing / f32(params.classes);
    for (var quad = 0u; quad < params.quads; quad++) {
      let class_index = vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let softmax = exp(read_sound(row, quad) - vec4f(largest)) / exponentials;
      let onehot = select(vec4f(0.0), vec4f(1.0 - params.smoothing), class_index == vec4u(label));
      let gradient = (softmax - onehot - vec4f(uniform_share)) / f32(step.count);
      let inside = (class_index < vec4u(params.classes)) & vec4<bool>(real);
      write_dlogits(row * params.quads + quad, select(vec4f(0.0), gradient, inside));
    }
  }
}
