// Spares kept weights that fell below a threshold since the last scoring, so that the noise of one scoring removes none:
//
//   score = threshold   where 0 <= score < params.threshold and stood = 1
//   stood = 1           where the weight is kept and its score was at least params.threshold, else 0
//
// Shapes: scores, mask and stood are arenas in quads; the tensor starts at params.offset. Scores below 0 (padding) stay.
// stood is of the last scoring, and 0 before the first, so that no weight is spared then. One invocation decides one
// quad. Dispatched by src/prune/select/select.ts. docs/method.md, "The loop".

// include dispatch

struct Params {
  quads: u32,
  offset: u32,
  threshold: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mask: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> scores: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> stood: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  let quad = params.offset + i;
  let score = read_scores(quad);
  let threshold = vec4f(params.threshold);
  let stands = (read_mask(quad) > vec4f(0.0)) & (score >= threshold);
  let falls = (score >= vec4f(0.0)) & (score < threshold) & (read_stood(quad) > vec4f(0.0));
  write_scores(quad, select(score, threshold, falls));
  write_stood(quad, select(vec4f(0.0), vec4f(1.0), stands));
}
