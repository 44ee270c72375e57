// Adds two tensors: y = a + b, elementwise. With RELU, y is at least zero. With GATED, y is zero where gate <= 0:
// that is the backward pass of a ReLU with output gate, on a gradient whose shares are a and b.
//
// Shapes: a, b, gate and y (quads). Without GATED the gate is not read and may be any tensor. One invocation
// computes one quad. Dispatched by src/model/layers/add.ts.
// Source: He et al. 2015, arXiv 1512.03385 (the shortcut).

// include dispatch
// include math/maximum

struct Params {
  quads: u32,
}

override RELU: bool = false;
override GATED: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> gate: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  var value = read_a(i) + read_b(i);
  if (RELU) {
    value = rectified(value);
  }
  if (GATED) {
    value = select(vec4f(0.0), value, read_gate(i) > vec4f(0.0));
  }
  write_y(i, value);
}
