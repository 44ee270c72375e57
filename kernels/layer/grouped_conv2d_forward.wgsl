// Computes the forward pass of a grouped convolution. Output channels read only the input channels of their group.
//
//   y[n, oy, ox, o] = act(norm(bias[o] + sum over ky, kx, i of x[n, iy, ix, g I + i] w[o, ky, kx, i])
//                         + residual[n, oy, ox, o]),    iy = oy s + ky d - p, ix = ox s + kx d - p
//   norm(v) = (v - mean[o]) / sqrt(variance[o] + epsilon) * gamma[o] + beta[o]        (with HAS_NORM)
//
// I = group_in and group_out are the numbers of input and output channels per group, and g = o / group_out. Stride
// s, padding p and dilation d are given for each side. DEPTHWISE means I = group_out = 1; then a quad of y needs
// one quad of x per tap.
// Shapes: x (N, H, W, in_quads); y and residual (N, OH, OW, out_quads); quads_total is the number of quads of y;
// weight (O, KH, KW, I/4) in quads at params.weight of the value arena; bias, gamma and beta (O/4) likewise; mean
// and variance in the statistics arena.
// One invocation computes one quad of y and adds in the order of the taps. Dispatched by
// src/model/grouped_convolution.ts.
// Source: Krizhevsky et al. 2012 (groups); Howard et al. 2017, arXiv 1704.04861 (depthwise).

// include dispatch
// include math/maximum

struct Params {
  quads_total: u32,
  in_height: u32,
  in_width: u32,
  in_quads: u32,
  out_height: u32,
  out_width: u32,
  out_channels: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride_y: u32,
  stride_x: u32,
  padding_y: u32,
  padding_x: u32,
  dilation_y: u32,
  dilation_x: u32,
  group_in: u32,
  group_out: u32,
  weight: u32,
  bias: u32,
  mean: u32,
  variance: u32,
  gamma: u32,
  beta: u32,
  epsilon: f32,
}

override DEPTHWISE: bool = false;
override HAS_BIAS: bool = true;
override HAS_NORM: bool = false;
override HAS_RESIDUAL: bool = false;
override RELU: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> values: array<vec4f>;
@group(0) @binding(3) var<storage, read> statistics: array<vec4f>;
@group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;

// The four channels of a pixel from one that need not start a quad; past the last quad zeros.
fn read_channels(pixel: u32, channel: u32) -> vec4f {
  let quad = channel / 4u;
  let low = read_x(pixel + quad);
  let shift = channel % 4u;
  if (shift == 0u) {
    return low;
  }
  var high = vec4f(0.0);
  if (quad + 1u < params.in_quads) {
    high = read_x(pixel + quad + 1u);
  }
  if (shift == 1u) {
    return vec4f(low.yzw, high.x);
  }
  if (shift == 2u) {
    return vec4f(low.zw, high.xy);
  }
  return vec4f(low.w, high.xyz);
}

// What one pixel of x adds to the quad's four channels under one tap; `filters` are their quads under it. Past a group's
// last channel the weight is zero.
fn tap_sum(pixel: u32, channels: vec4u, filters: vec4u) -> vec4f {
  let first = channels / params.group_out * params.group_in;
  let is_shared = all(first == first.xxxx);
  var sum = vec4f(0.0);
  for (var k = 0u; k < (params.group_in + 3u) / 4u; k++) {
    let a = read_channels(pixel, first.x + 4u * k);
    var b = a;
    var c = a;
    var d = a;
    if (!is_shared) {
      b = read_channels(pixel, first.y + 4u * k);
      c = read_channels(pixel, first.z + 4u * k);
      d = read_channels(pixel, first.w + 4u * k);
    }
    sum += vec4f(
      dot(a, read_values(filters.x + k)),
      dot(b, read_values(filters.y + k)),
      dot(c, read_values(filters.z + k)),
      dot(d, read_values(filters.w + k)),
    );
  }
  return sum;
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let index = invocation_index(invocation, 64u);
  if (index >= params.quads_total) {
    return;
  }
  let out_quads = (params.out_channels + 3u) / 4u;
  let pixel = index / out_quads;
  let quad = index - pixel * out_quads;
  let line = pixel / params.out_width;
  let image = line / params.out_height;
  let top = i32((line - image * params.out_height) * params.stride_y) - i32(params.padding_y);
  let left = i32((pixel - line * params.out_width) * params.stride_x) - i32(params.padding_x);
  let lanes = vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u);
  let channels = min(lanes, vec4u(params.out_channels - 1u));
  let tap_quads = (params.group_in + 3u) / 4u;
  var filters = vec4u(params.weight) + channels * (params.kernel_height * params.kernel_width * tap_quads);
  var sum = vec4f(0.0);
  for (var tap_y = 0u; tap_y < params.kernel_height; tap_y++) {
    let in_y = top + i32(tap_y * params.dilation_y);
    for (var tap_x = 0u; tap_x < params.kernel_width; tap_x++) {
      let in_x = left + i32(tap_x * params.dilation_x);
      if (in_y >= 0 && in_y < i32(params.in_height) && in_x >= 0 && in_x < i32(params.in_width)) {
        let start = ((image * params.in_height + u32(in_y)) * params.in_width + u32(in_x)) * params.in_quads;
        if (DEPTHWISE) {
          let weight = vec4f(
            read_values(filters.x).x,
            read_values(filters.y).x,
            read_values(filters.z).x,
            read_values(filters.w).x,
          );
          sum += read_x(start + quad) * weight;
        } else {
          sum += tap_sum(start, channels, filters);
        }
      }
      filters += vec4u(tap_quads);
    }
  }
  if (HAS_BIAS) {
    sum += read_values(params.bias + quad);
  }
  if (HAS_NORM) {
    let deviation = sqrt(read_statistics(params.variance + quad) + params.epsilon);
    let xhat = (sum - read_statistics(params.mean + quad)) / deviation;
    sum = xhat * read_values(params.gamma + quad) + read_values(params.beta + quad);
  }
  if (HAS_RESIDUAL) {
    sum += read_residual(index);
  }
  if (RELU) {
    sum = rectified(sum);
  }
  write_y(index, select(vec4f(0.0), sum, lanes < vec4u(params.out_channels)));
}
