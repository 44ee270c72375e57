// Criterion lamp: turns the sums of chunks of ascending squares into the sums of all chunks behind, in place:
//
//   sums[chunk] = sum over c > chunk of sums[c]
//
// One workgroup runs. Each lane adds its neighbouring chunks, the 256 sums are scanned from the end, and each lane
// goes through its chunks again. All orders are fixed. Dispatched by src/prune/score/lamp.ts.

struct Params {
  chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

var<workgroup> behind: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  let per_lane = (params.chunks + 255u) / 256u;
  let first = min(lane * per_lane, params.chunks);
  let last = min(first + per_lane, params.chunks);
  var own = 0.0;
  for (var chunk = first; chunk < last; chunk++) {
    own += sums[chunk];
  }
  behind[lane] = own;
  workgroupBarrier();
  // An inclusive scan from behind; every step reads before any writes.
  for (var reach = 1u; reach < 256u; reach *= 2u) {
    var more = 0.0;
    if (lane + reach < 256u) {
      more = behind[lane + reach];
    }
    workgroupBarrier();
    behind[lane] += more;
    workgroupBarrier();
  }
  var sum = 0.0;
  if (lane < 255u) {
    sum = behind[lane + 1u];
  }
  for (var chunk = last; chunk > first; chunk--) {
    let before = sums[chunk - 1u];
    sums[chunk - 1u] = sum;
    sum += before;
  }
}
