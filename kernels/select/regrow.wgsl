// Brings removed weights back by the score test of their gradient:
//
//   mask = regrown = 1, score = sqrt(examples * g^2 / F)
//                         where mask and regrown are 0 and examples * g^2 > threshold^2 * F
//   counts[layer] += number of such weights
//
// Here g is the mean gradient over params.examples examples, and F the Fisher information of one, at the weight's value
// 0. The left side divided by F is the score statistic of the hypothesis "this weight is zero", which is compared with a
// chi-square distribution of one degree of freedom: the score z has the scale of that of kept weights. A weight with
// regrown 1 came back before and stays out.
// Shapes: gradient_mean, fisher, mask, regrown and scores, arenas in quads with the tensor (inner quads per tap) at
// params.offset, whose padding stays; counts (layers). One invocation decides one quad. The additions are of
// integers, so their order does not matter. Dispatched by src/prune/select/select.ts.
// Source: Rao 1948, "Large sample tests of statistical hypotheses"; docs/method.md.

// include dispatch

struct Params {
  quads: u32,
  offset: u32,
  inner: u32,
  channels: u32,
  layer: u32,
  examples: f32,
  threshold: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient_mean: array<vec4f>;
@group(0) @binding(2) var<storage, read> fisher: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> mask: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> regrown: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> scores: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> counts: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let quad = params.offset + i;
  let channel = vec4u(4u * (i % params.inner)) + vec4u(0u, 1u, 2u, 3u);
  let keep = read_mask(quad);
  let before = read_regrown(quad);
  let gradient = read_gradient_mean(quad);
  let fisher = read_fisher(quad);
  let statistic = vec4f(params.examples) * gradient * gradient;
  let passes = statistic > params.threshold * params.threshold * fisher;
  let returns = passes & !(keep > vec4f(0.0)) & !(before > vec4f(0.0)) &
    (channel < vec4u(params.channels));
  let ones = select(vec4u(0u), vec4u(1u), returns);
  let count = ones.x + ones.y + ones.z + ones.w;
  if (count > 0u) {
    atomicAdd(&counts[params.layer], count);
    write_mask(quad, select(keep, vec4f(1.0), returns));
    write_regrown(quad, select(before, vec4f(1.0), returns));
    // No quotient of a weight that stays out is used, whatever it is.
    write_scores(quad, select(read_scores(quad), sqrt(statistic / fisher), returns));
  }
}
