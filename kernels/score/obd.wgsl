// Criterion OBD, optimal brain damage: mean^2 * fisher / 2, of score/score.wgsl. Arenas in quads.
// Source: LeCun, Denker and Solla 1989, with the diagonal Fisher information for the Hessian.

struct Params {
  quads: u32,
  offset: u32,
  inner: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read> fisher: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> scores: array<vec4f>;

fn score(i: u32) -> vec4f {
  let mean_value = read_mean(i);
  return mean_value * mean_value * read_fisher(i) * 0.5;
}
