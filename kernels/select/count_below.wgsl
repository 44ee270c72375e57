// Counts the kept weights of a tensor whose score lies below a threshold:
//
//   counts[params.layer] += number of kept weights with 0 <= score < params.threshold
//
// Shapes: scores and mask, arenas in quads with the tensor at params.offset; counts (layers). One invocation reads
// one quad; a workgroup adds once. Dispatched by src/prune/select/select.ts.

// include dispatch

struct Params {
  quads: u32,
  offset: u32,
  layer: u32,
  threshold: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> counts: array<atomic<u32>>;

var<workgroup> group_count: atomic<u32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation, @builtin(local_invocation_index) lane: u32) {
  let i = invocation_index(invocation, 64u);
  if (i < params.quads) {
    let score = read_scores(params.offset + i);
    let below = (score >= vec4f(0.0)) & (score < vec4f(params.threshold)) & (read_mask(params.offset + i) > vec4f(0.0));
    let ones = select(vec4u(0u), vec4u(1u), below);
    atomicAdd(&group_count, ones.x + ones.y + ones.z + ones.w);
  }
  workgroupBarrier();
  if (lane == 0u) {
    atomicAdd(&counts[params.layer], atomicLoad(&group_count));
  }
}
