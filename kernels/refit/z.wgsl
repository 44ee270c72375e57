// Computes the signal to noise z of the weights of solved systems, from the lines of L^-T that were factored along:
//
//   signals[s, a] = |solutions[s, a]| / sqrt([A^-1]_aa),   [A^-1]_aa = sum over k >= a of (L^-T)[a, k]^2
//
// Shapes: systems (refit/systems.wgsl) with the identity's lines, as refit/factor_panel.wgsl leaves them; solutions
// and signals (systems, size) floats. One invocation computes one weight in the order of the columns. Dispatched by
// src/prune/refit/solve.ts.
// Source: Hassibi and Stork 1993, "Second order derivatives for network pruning: Optimal Brain Surgeon".

// include dispatch
// include refit/systems

struct Params {
  systems: u32,
  size: u32,
  lines: u32,
  shrink: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> systems: array<vec4f>;
@group(0) @binding(2) var<storage, read> solutions: array<f32>;
@group(0) @binding(3) var<storage, read_write> signals: array<f32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let index = invocation_index(invocation, 64u);
  let system = index / params.size;
  if (system >= params.systems) {
    return;
  }
  let a = index - system * params.size;
  // Left of the diagonal's quad all is zero, and so are its places left of the diagonal.
  var sum = 0.0;
  for (var quad = a / 4u; quad < params.size / 4u; quad++) {
    let line = read_systems(column_start(system, quad) + params.size + 8u + a);
    sum += dot(line, line);
  }
  signals[index] = abs(solutions[index]) / sqrt(sum);
}
