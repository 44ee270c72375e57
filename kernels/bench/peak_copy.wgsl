// Measures how fast kernels copy: copy[i] = source[i], read and written on the read path of the run.
//
// Shapes: source and copy (quads). One invocation copies one quad. Dispatched by bench/peaks.ts.

// include dispatch

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> copy: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  write_copy(i, read_source(i));
}
