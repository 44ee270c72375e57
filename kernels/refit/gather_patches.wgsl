// Gathers patches of the input at sampled output positions (im2col), less a shift that keeps Gram sums from losing
// digits:
//
//   v[sample, (ky, kx, i)] = x[n, oy sy + ky dy - py, ox sx + kx dx - px, i] - shift_scale shift_sums[(ky, kx, i)]
//
// The position is positions[sample].x = (n OH + oy) OW + ox. Outside the image x is zero. If the position is NONE,
// the whole row is zero. A linear layer is a window over its whole input, with OH = OW = 1.
// Shapes: x (N, H, W, in_quads); v (samples, quads), of which the first patch_quads = KH KW in_quads are written;
// shift_sums (quads). One invocation computes one quad. Dispatched by src/prune/refit/gram.ts.
// Source: Chellapilla et al. 2006, "High Performance Convolutional Neural Networks for Document Processing".

// include dispatch

const NONE = 0xffffffffu;

struct Params {
  samples: u32,
  quads: u32,
  patch_quads: u32,
  in_height: u32,
  in_width: u32,
  in_quads: u32,
  out_height: u32,
  out_width: u32,
  kernel_width: u32,
  stride_y: u32,
  stride_x: u32,
  padding_y: u32,
  padding_x: u32,
  dilation_y: u32,
  dilation_x: u32,
}

struct Step {
  shift_scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> positions: array<vec2u>;
@group(0) @binding(4) var<storage, read> shift_sums: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> v: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let index = invocation_index(invocation, 64u);
  let sample = index / params.patch_quads;
  if (sample >= params.samples) {
    return;
  }
  let quad = index - sample * params.patch_quads;
  let position = positions[sample].x;
  let is_sample = position != NONE;
  let area = params.out_height * params.out_width;
  let image = select(0u, position / area, is_sample);
  let pixel = select(0u, position % area, is_sample);
  let tap = quad / params.in_quads;
  let tap_y = tap / params.kernel_width;
  let tap_x = tap - tap_y * params.kernel_width;
  let line = i32((pixel / params.out_width) * params.stride_y + tap_y * params.dilation_y) - i32(params.padding_y);
  let column = i32((pixel % params.out_width) * params.stride_x + tap_x * params.dilation_x) - i32(params.padding_x);
  let height = i32(params.in_height);
  let width = i32(params.in_width);
  let inside = line >= 0 && line < height && column >= 0 && column < width;
  let in_line = image * params.in_height + u32(clamp(line, 0, height - 1));
  let in_pixel = in_line * params.in_width + u32(clamp(column, 0, width - 1));
  let value = read_x(in_pixel * params.in_quads + quad - tap * params.in_quads);
  let shifted = select(vec4f(0.0), value, inside) - step.shift_scale * read_shift_sums(quad);
  write_v(sample * params.quads + quad, select(vec4f(0.0), shifted, is_sample));
}
