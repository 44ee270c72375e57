// Multiplies an arena by the mask, out = out * mask, so that removed parameters are exactly zero.
//
// Shapes: mask and out (quads). One invocation updates one quad. Dispatched by src/prune/mask.ts.

// include dispatch

struct Params {
  quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mask: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads) {
    return;
  }
  write_out(i, read_out(i) * read_mask(i));
}
