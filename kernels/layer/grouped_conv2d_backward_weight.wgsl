// Computes the gradient of the weight of a grouped convolution, in chunks of output pixels. reduce/splits.wgsl adds
// the chunks in a fixed order.
//
//   dw[o, ky, kx, i] = sum over n, oy, ox of dy[n, oy, ox, o] x[n, oy s + ky d - p, ox s + kx d - p, g I + i]
//
// I = group_in and group_out are the numbers of input and output channels per group, and g = o / group_out. Stride
// s, padding p and dilation d are given for each side.
// Shapes: dy (N, OH, OW, out_quads); x (N, H, W, in_quads); rows = N OH OW; sums (chunks, O, KH, KW, I/4) in quads.
// One invocation computes one quad of dw for one chunk, in the order of the pixels. With DEPTHWISE (I = group_out =
// 1) it computes those of four output channels, whose gradients and inputs are one quad each. Dispatched by
// src/model/grouped_convolution.ts.
// Source: gemm/conv2d_backward_weight.wgsl, group by group.

// include dispatch

struct Params {
  rows: u32,
  rows_per_chunk: u32,
  in_height: u32,
  in_width: u32,
  in_quads: u32,
  out_height: u32,
  out_width: u32,
  out_quads: u32,
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
}

override DEPTHWISE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4f>;

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

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let index = invocation_index(invocation, 64u);
  let taps = params.kernel_height * params.kernel_width;
  let tap_quads = (params.group_in + 3u) / 4u;
  // Quads of dw, or with DEPTHWISE (taps, quads of channels), so that neighbours read neighbouring quads.
  let items = select(params.out_channels * taps * tap_quads, taps * params.out_quads, DEPTHWISE);
  let chunk = index / items;
  let item = index - chunk * items;
  let first = chunk * params.rows_per_chunk;
  if (first >= params.rows) {
    return;
  }
  let flat = item / tap_quads;
  let tap = select(flat % taps, item / params.out_quads, DEPTHWISE);
  // With DEPTHWISE the first of four channels.
  let out_channel = select(flat / taps, 4u * (item % params.out_quads), DEPTHWISE);
  let k = item % tap_quads;
  let channel = out_channel / params.group_out * params.group_in + 4u * k;
  let tap_y = i32(tap / params.kernel_width * params.dilation_y) - i32(params.padding_y);
  let tap_x = i32(tap % params.kernel_width * params.dilation_x) - i32(params.padding_x);
  let last = min(first + params.rows_per_chunk, params.rows);
  var sum = vec4f(0.0);
  for (var row = first; row < last; row++) {
    let line = row / params.out_width;
    let image = line / params.out_height;
    let in_y = i32((line - image * params.out_height) * params.stride_y) + tap_y;
    let in_x = i32((row - line * params.out_width) * params.stride_x) + tap_x;
    if (in_y < 0 || in_y >= i32(params.in_height) || in_x < 0 || in_x >= i32(params.in_width)) {
      continue;
    }
    let start = ((image * params.in_height + u32(in_y)) * params.in_width + u32(in_x)) * params.in_quads;
    let gradient = read_dy(row * params.out_quads + out_channel / 4u);
    if (DEPTHWISE) {
      sum += gradient * read_x(start + out_channel / 4u);
    } else {
      sum += gradient[out_channel % 4u] * read_channels(start, channel);
    }
  }
  let quads = params.out_channels * taps * tap_quads;
  if (DEPTHWISE) {
    for (var lane = 0u; lane < min(4u, params.out_channels - out_channel); lane++) {
      write_sums(chunk * quads + (out_channel + lane) * taps + tap, vec4f(sum[lane], 0.0, 0.0, 0.0));
    }
  } else {
    // What lies past the group belongs to the next one.
    let lanes = vec4u(4u * k) + vec4u(0u, 1u, 2u, 3u);
    write_sums(chunk * quads + item, select(vec4f(0.0), sum, lanes < vec4u(params.group_in)));
  }
}
