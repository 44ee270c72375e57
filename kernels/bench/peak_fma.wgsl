// The adapter's multiply-add ceiling: chains that do not wait for each other, kept in registers.
//
//   a[j] <- a[j] scale + shift, 16 times a round, for 3 vectors (12 chains) of one invocation
//
// sums (quads): one an invocation, the sum of its chains, so that nothing can be left out. One invocation computes 384
// floating-point operations a round: 16 steps, 12 chains, 2 for each multiply-add. Each chain starts elsewhere, and
// scale and shift are known to the host only, so no two steps can be made one. With |scale| < 1 a chain tends to
// shift / (1 - scale), far from overflow and from denormal numbers.
// Of 8, 12, 16, 24 and 32 chains, 12 were fastest on llvmpipe: fewer wait for each other, more leave the 16 registers
// of an 8-lane processor. Real GPUs hide the latency by running many invocations at once.

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
