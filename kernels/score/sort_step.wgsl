// Makes one step of a bitonic merge of params.size keys: puts the two keys of each pair at params.stride in order,
// descending in every second merge.
//
// Shapes: keys (2 x pairs). One invocation handles one pair. Dispatched by src/prune/score/lamp.ts.
// Source: Batcher 1968, "Sorting networks and their applications".

// include dispatch

struct Params {
  pairs: u32,
  size: u32,
  stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> keys: array<u32>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let pair = invocation_index(invocation, 64u);
  if (pair >= params.pairs) {
    return;
  }
  let low = 2u * pair - (pair & (params.stride - 1u));
  let a = keys[low];
  let b = keys[low + params.stride];
  if ((a > b) == ((low & params.size) == 0u)) {
    keys[low] = b;
    keys[low + params.stride] = a;
  }
}
