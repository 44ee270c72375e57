// Computes the forward pass of max pooling: y[n, oy, ox, c] = max of x over the window. Padding counts as minus
// infinity. The core is layer/pool2d_forward.wgsl.

// include layer/pool2d_forward
// include math/maximum

const empty = vec4f(-3.4028234e38);

fn pooled(before: vec4f, pixel: vec4f) -> vec4f {
  return larger(before, pixel);
}

fn result(all: vec4f, pixels: i32) -> vec4f {
  return all;
}
