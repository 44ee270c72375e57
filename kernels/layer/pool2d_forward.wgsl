// Pooling core, forward. This file is part of the kernels that pool. A kernel gives
//
//   empty                  the value of a window without pixels
//   pooled(before, pixel)  the value of a window with one more pixel
//   result(all, pixels)    the result of a window, and how many of its pixels lie in x
//
// The window of y[n, oy, ox, c] starts at (oy s - p, ox s - p) of x. Stride s and padding p are given for each
// side. Pixels outside are left out.
// Shapes: x (N, H, W, quads); y (N, OH, OW, quads); quads_total is the number of quads of y. One invocation
// computes one quad of y.

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

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.quads_total) {
    return;
  }
  let pixel = i / params.quads;
  let quad = i - pixel * params.quads;
  let line = pixel / params.out_width;
  let image = line / params.out_height;
  let top = i32((line - image * params.out_height) * params.stride_y) - i32(params.padding_y);
  let left = i32((pixel - line * params.out_width) * params.stride_x) - i32(params.padding_x);
  let height = i32(params.in_height);
  let width = i32(params.in_width);
  var all = empty;
  let first_y = max(top, 0);
  let first_x = max(left, 0);
  let end_y = min(top + i32(params.kernel_height), height);
  let end_x = min(left + i32(params.kernel_width), width);
  for (var in_y = first_y; in_y < end_y; in_y++) {
    for (var in_x = first_x; in_x < end_x; in_x++) {
      all = pooled(all, read_x(u32((i32(image) * height + in_y) * width + in_x) * params.quads + quad));
    }
  }
  write_y(i, result(all, (end_y - first_y) * (end_x - first_x)));
}
