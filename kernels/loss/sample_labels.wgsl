// Draws a label for each example from the network's own predictions: labels[n] = c with probability
// softmax(z_n)[c]. The Fisher information needs such labels; the given labels lead to the empirical Fisher
// information.
//
// The random number u in [0, 1) is a hash of params.seed, step.index (the batch) and n. The label is the first
// class at which the cumulative sum of exp(z_n - max) exceeds u times the whole sum. If rounding leaves none, it is
// the last class.
// Shapes: logits (rows, quads); labels (rows). One invocation draws one label and adds in the order of the classes.
// Dispatched by src/plan/loss.ts.
// Source: Kunstner, Balles and Hennig 2019, arXiv 1905.12558, section 2.

// include dispatch

struct Params {
  rows: u32,
  quads: u32,
  classes: u32,
  seed: u32,
}

struct Step {
  index: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> logits: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> labels: array<u32>;

// include random/mix_bits

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let row = invocation_index(invocation, 64u);
  if (row >= params.rows) {
    return;
  }
  var largest = -3.4028234e38;
  for (var c = 0u; c < params.classes; c++) {
    largest = max(largest, read_logits(row * params.quads + c / 4u)[c % 4u]);
  }
  var whole = 0.0;
  for (var c = 0u; c < params.classes; c++) {
    whole += exp(read_logits(row * params.quads + c / 4u)[c % 4u] - largest);
  }
  let bits = mix_bits(mix_bits(mix_bits(params.seed) ^ step.index) ^ row);
  let reached = f32(bits >> 8u) / 16777216.0 * whole;
  var label = params.classes - 1u;
  var sum = 0.0;
  for (var c = 0u; c < params.classes; c++) {
    sum += exp(read_logits(row * params.quads + c / 4u)[c % 4u] - largest);
    if (sum > reached) {
      label = c;
      break;
    }
  }
  labels[row] = label;
}
