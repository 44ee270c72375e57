// Computes the backward pass of max pooling: dx[n, iy, ix, c] = sum of dy over the windows whose maximum is at (iy,
// ix). Of equal maxima the first in line order takes the gradient, as in PyTorch. With GATED, dx is zero where x <=
// 0: the backward pass of a ReLU with output x.
//
// Shapes: x and dx (N, H, W, quads); y and dy (N, OH, OW, quads); quads_total is the number of quads of dx. One
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

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> y: array<vec4f>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4f>;

// Which channels have their first maximum of window (out_y, out_x) at pixel (own_y, own_x), given that the value
// there equals the maximum: those with no equal before it.
fn is_first(image: u32, quad: u32, out_y: u32, out_x: u32, own_y: i32, own_x: i32, largest: vec4f) -> vec4<bool> {
  let top = i32(out_y * params.stride_y) - i32(params.padding_y);
  let left = i32(out_x * params.stride_x) - i32(params.padding_x);
  let right = min(left + i32(params.kernel_width), i32(params.in_width));
  var first = vec4<bool>(true);
  for (var in_y = max(top, 0); in_y <= own_y; in_y++) {
    let end = select(right, own_x, in_y == own_y);
    for (var in_x = max(left, 0); in_x < end; in_x++) {
      let before = read_x(((image * params.in_height + u32(in_y)) * params.in_width + u32(in_x)) * params.quads + quad);
      first = first & (before != largest);
    }
  }
  return first;
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
  let own = read_x(i);
  var sum = vec4f(0.0);
  for (var out_y = first_y; out_y <= last_y; out_y++) {
    for (var out_x = first_x; out_x <= last_x; out_x++) {
      let window = ((image * params.out_height + out_y) * params.out_width + out_x) * params.quads + quad;
      let largest = read_y(window);
      var takes = own == largest;
      let own_y = i32(y_padded) - i32(params.padding_y);
      let own_x = i32(x_padded) - i32(params.padding_x);
      takes = takes & is_first(image, quad, out_y, out_x, own_y, own_x, largest);
      sum += select(vec4f(0.0), read_dy(window), takes);
    }
  }
  if (GATED) {
    sum = select(vec4f(0.0), sum, own > vec4f(0.0));
  }
  write_dx(i, sum);
}
