// Radix select, second half of a pass: takes the digit in which the remaining-th smallest key lies, and clears
// counts.
//
// state.remaining becomes the rank among the weights that share the digits found so far. The key (or with BY_INDEX
// the index) gains the digit. If the last digit of the key is found (LAST) and all weights with that key go, their
// indices need no sorting: settled becomes 1, and index the largest index.
// Shapes: counts (1 << params.bits), at most 2,048. One workgroup runs. Each invocation adds 8 neighbouring counts
// and the 256 sums are scanned. The invocation whose counts hold the remaining-th key writes the state. Dispatched
// by src/prune/select/select.ts.

struct Params {
  shift: u32,
  bits: u32,
}

struct State {
  remaining: u32,
  key: u32,
  index: u32,
  settled: u32,
}

override BY_INDEX: bool = false;
override LAST: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> state: State;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

var<workgroup> sums: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  let bins = 1u << params.bits;
  var own: array<u32, 8>;
  var sum = 0u;
  for (var j = 0u; j < 8u; j++) {
    let bin = lane * 8u + j;
    if (bin < bins) {
      own[j] = counts[bin];
      counts[bin] = 0u;
    }
    sum += own[j];
  }
  sums[lane] = sum;
  workgroupBarrier();
  // An inclusive scan; every step reads before any writes.
  for (var reach = 1u; reach < 256u; reach *= 2u) {
    var before = 0u;
    if (lane >= reach) {
      before = sums[lane - reach];
    }
    workgroupBarrier();
    sums[lane] += before;
    workgroupBarrier();
  }
  let remaining = state.remaining;
  let settled = state.settled;
  // All have read the state before one writes it.
  storageBarrier();
  workgroupBarrier();
  let end = sums[lane];
  if (settled == 1u || remaining == 0u || remaining > end || remaining <= end - sum) {
    return;
  }
  var passed = end - sum;
  for (var j = 0u; j < 8u; j++) {
    if (remaining > passed && remaining <= passed + own[j]) {
      let digit = (lane * 8u + j) << params.shift;
      state.remaining = remaining - passed;
      if (BY_INDEX) {
        state.index |= digit;
      } else {
        state.key |= digit;
      }
      if (LAST && !BY_INDEX && remaining - passed == own[j]) {
        state.settled = 1u;
        state.index = 0xffffffffu;
      }
    }
    passed += own[j];
  }
}
