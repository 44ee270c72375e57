// Computes the forward pass of average pooling: y[n, oy, ox, c] = sum of x over the window, divided by the window's
// size: padding counts as zeros (PyTorch's count_include_pad). Without COUNTS_PADDING it is divided by the number of the
// window's pixels in x. The core is layer/pool2d_forward.wgsl.

// include layer/pool2d_forward

override COUNTS_PADDING: bool = true;

const empty = vec4f(0.0);

fn pooled(before: vec4f, pixel: vec4f) -> vec4f {
  return before + pixel;
}

fn result(all: vec4f, pixels: i32) -> vec4f {
  if (COUNTS_PADDING) {
    return all / f32(params.kernel_height * params.kernel_width);
  }
  return all / f32(pixels);
}
