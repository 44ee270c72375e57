// Computes the backward pass of average pooling: dx[n, iy, ix, c] = sum of dy over the windows that cover (iy, ix),
// divided by the window's size, or without COUNTS_PADDING each by the number of its window's pixels in x. With GATED, dx is zero where gate <= 0: the backward pass of a ReLU with output
// gate.
//
// Shapes: dy (N, OH, OW, quads); dx and gate (N, H, W, quads); quads_total is the number of quads of dx. One
// invocation computes one quad of dx. It gathers in a fixed order, without atomics. Dispatched by
// src/model/layers/pool2d.ts.

// include dispatch

struct Params {
  quads_total: u32,
  quads: u32,
  in_height: u32,
  in_width: u32,
  out_height: u32,
  out_width: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride_y: u32,
  stride_x: u32,
  padding_y: u32,
  padding_x: u32,
}

override GATED: bool = false;
override COUNTS_PADDING: bool = true;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> gate: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

// The pixels of a window along a side of x that starts padding before it.
fn covered(out: u32, stride: u32, kernel: u32, padding: u32, size: u32) -> u32 {
  let start = out * stride;
  return min(start + kernel, padding + size) - max(start, padding);
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads_total) {
    return;
  }
  let pixel = i / params.quads;
  let quad = i - pixel * params.quads;
  let line = pixel / params.in_width;
  let image = line / params.in_height;
  // The pixel's place in the padded image, and the windows that cover it.
  let y_padded = line - image * params.in_height + params.padding_y;
  let x_padded = pixel - line * params.in_width + params.padding_x;
  let first_y = select(0u, (y_padded - params.kernel_height) / params.stride_y + 1u, y_padded >= params.kernel_height);
  let first_x = select(0u, (x_padded - params.kernel_width) / params.stride_x + 1u, x_padded >= params.kernel_width);
  let last_y = min(y_padded / params.stride_y, params.out_height - 1u);
  let last_x = min(x_padded / params.stride_x, params.out_width - 1u);
  var sum = vec4f(0.0);
  for (var out_y = first_y; out_y <= last_y; out_y++) {
    for (var out_x = first_x; out_x <= last_x; out_x++) {
      let share = read_dy(((image * params.out_height + out_y) * params.out_width + out_x) * params.quads + quad);
      if (COUNTS_PADDING) {
        sum += share;
      } else {
        let high = covered(out_y, params.stride_y, params.kernel_height, params.padding_y, params.in_height);
        let wide = covered(out_x, params.stride_x, params.kernel_width, params.padding_x, params.in_width);
        sum += share / f32(high * wide);
      }
    }
  }
  if (COUNTS_PADDING) {
    sum /= f32(params.kernel_height * params.kernel_width);
  }
  if (GATED) {
    sum = select(vec4f(0.0), sum, read_gate(i) > vec4f(0.0));
  }
  write_dx(i, sum);
}
