// Measures how many multiply-adds the adapter does per second, by chains in registers that do not depend on each
// other:
//
//   a[j] <- a[j] scale + shift, 16 times per round, for the 3 vectors (12 chains) of one invocation
//
// Each invocation stores the sum of its chains, so nothing can be left out. A round has 384 floating-point
// operations per invocation: 16 steps, 12 chains, 2 per multiply-add. Each chain has a start of its own, and only
// the host knows scale and shift, so no two steps can be merged. With |scale| < 1 a chain tends to shift / (1 -
// scale), far from overflow and from denormal numbers.
// Of 8, 12, 16, 24 and 32 chains, 12 were fastest on llvmpipe. Fewer leave latency unhidden; more do not fit into
// the 16 registers of a processor of 8 lanes. GPUs hide latency by running many invocations.
// Shapes: sums (invocations). Dispatched by bench/peaks.ts.

// include dispatch

const CHAINS = 12u;
const STEPS = 16u;

struct Params {
  quads: u32,
  rounds: u32,
  scale: f32,
  shift: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let scale = params.scale;
  let shift = vec4f(params.shift);
  let start = vec4f(0.0, 1.0, 2.0, 3.0) + vec4f(f32(i % 64u));
  var a = start;
  var b = start + vec4f(4.0);
  var c = start + vec4f(8.0);
  for (var round = 0u; round < params.rounds; round++) {
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
  }
  write_sums(i, a + b + c);
}
