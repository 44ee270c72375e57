// Computes the forward pass of average pooling: y[n, oy, ox, c] = sum of x over the window, divided by the window's
// size. Padding counts as zeros (PyTorch's count_include_pad). The core is layer/pool2d_forward.wgsl.

// include layer/pool2d_forward

const empty = vec4f(0.0);

fn pooled(before: vec4f, pixel: vec4f) -> vec4f {
  return before + pixel;
}

fn result(all: vec4f) -> vec4f {
  return all / f32(params.kernel_height * params.kernel_width);
}
