// Sorts keys in ascending order by bitonic merges, as far as these stay within blocks of 2,048 keys.
//
//   FIRST: keys[i] = bits of |mean[params.first + i]|, and 0xffffffff from params.count on; then each block is sorted,
//          every second one descending, as the later merges need them;
//   else:  the steps of strides 1,024 to 1 of the merge of params.size keys.
//
// The bits of floats without a sign rise with the floats. Equal keys are alike, so the result is always the same.
// Shapes: mean, an arena of floats; keys (from params.keys), a power of two and at least 2,048. One workgroup sorts
// one block in workgroup memory (8 KiB). Dispatched by src/prune/score/lamp.ts.
// Source: Batcher 1968, "Sorting networks and their applications".

struct Params {
  first: u32,
  count: u32,
  keys: u32,
  size: u32,
}

override FIRST: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read_write> keys: array<u32>;

var<workgroup> block: array<u32, 2048>;

// One step of a merge: all pairs at a distance, four a lane.
fn step_within(base: u32, lane: u32, size: u32, stride: u32) {
  for (var j = 0u; j < 4u; j++) {
    let pair = lane + 256u * j;
    let low = 2u * pair - (pair & (stride - 1u));
    let a = block[low];
    let b = block[low + stride];
    let ascends = ((base + low) & size) == 0u;
    if ((a > b) == ascends) {
      block[low] = b;
      block[low + stride] = a;
    }
  }
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let base = 2048u * (group.y * groups.x + group.x);
  for (var j = 0u; j < 8u; j++) {
    let i = lane + 256u * j;
    var key = 0xffffffffu;
    if (FIRST) {
      if (base + i < params.count) {
        key = bitcast<u32>(mean[params.first + base + i]) & 0x7fffffffu;
      }
    } else if (base + i < params.keys) {
      key = keys[base + i];
    }
    block[i] = key;
  }
  workgroupBarrier();
  for (var size = select(params.size, 2u, FIRST); size <= params.size; size *= 2u) {
    for (var stride = min(size / 2u, 1024u); stride > 0u; stride /= 2u) {
      step_within(base, lane, size, stride);
      workgroupBarrier();
    }
  }
  for (var j = 0u; j < 8u; j++) {
    let i = lane + 256u * j;
    if (base + i < params.keys) {
      keys[base + i] = block[i];
    }
  }
}
