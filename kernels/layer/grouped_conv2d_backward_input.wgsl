// Computes the gradient of the input of a grouped convolution:
//
//   dx[n, iy, ix, g I + i] = sum over ky, kx, o of dy[n, (iy + p - ky d) / s, (ix + p - kx d) / s, o] w[o, ky, kx, i]
//
// The sum is over the output channels of group g, o = g group_out .. (g + 1) group_out - 1, and over the taps whose
// divisions are exact and fall inside dy. I = group_in is the number of input channels per group. Stride s, padding
// p and dilation d are given for each side. With HAS_ADDEND, addend is added to the result. With GATED the result
// is then zero where gate <= 0: the backward pass of a ReLU with output gate. DEPTHWISE means I = group_out = 1;
// then a quad of dx needs one quad of dy per tap.
// Shapes: dy (N, OH, OW, out_quads); dx, gate and addend (N, H, W, in_quads); quads_total is the number of quads of
// dx; weight (O, KH, KW, I/4) in quads at params.weight of the value arena.
// One invocation computes one quad of dx. It gathers in the order of the taps, without atomics. Dispatched by
// src/model/grouped_convolution.ts.
// Source: gemm/conv2d_backward_input.wgsl, group by group.

// include dispatch

struct Params {
  quads_total: u32,
  in_height: u32,
  in_width: u32,
  in_channels: u32,
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
  weight: u32,
}

override DEPTHWISE: bool = false;
override HAS_ADDEND: bool = false;
override GATED: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> values: array<vec4f>;
@group(0) @binding(3) var<storage, read> gate: array<vec4f>;
@group(0) @binding(4) var<storage, read> addend: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dx: array<vec4f>;

fn tap_quads() -> u32 {
  return (params.group_in + 3u) / 4u;
}

// The quad at which an output channel's filter holds a tap.
fn filter_at(out_channel: u32, tap: u32) -> u32 {
  return params.weight + (out_channel * params.kernel_height * params.kernel_width + tap) * tap_quads();
}

fn read_gradient(pixel: u32, out_channel: u32) -> f32 {
  return read_dy(pixel + out_channel / 4u)[out_channel % 4u];
}

// What one pixel of dy adds to four input channels under one tap.
fn tap_sum(pixel: u32, quad: u32, tap: u32) -> vec4f {
  let lanes = vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u);
  if (DEPTHWISE) {
    let channels = min(lanes, vec4u(params.out_channels - 1u));
    let weight = vec4f(
      read_values(filter_at(channels.x, tap)).x,
      read_values(filter_at(channels.y, tap)).x,
      read_values(filter_at(channels.z, tap)).x,
      read_values(filter_at(channels.w, tap)).x,
    );
    return read_dy(pixel + quad) * weight;
  }
  var sum = vec4f(0.0);
  if (params.group_in % 4u == 0u) {
    // The four channels are one quad of their group's filters.
    let group = lanes.x / params.group_in;
    let k = (lanes.x - group * params.group_in) / 4u;
    for (var o = group * params.group_out; o < (group + 1u) * params.group_out; o++) {
      sum += read_gradient(pixel, o) * read_values(filter_at(o, tap) + k);
    }
    return sum;
  }
  for (var lane = 0u; lane < 4u; lane++) {
    let channel = min(lanes.x + lane, params.in_channels - 1u);
    let group = channel / params.group_in;
    let place = channel - group * params.group_in;
    var part = 0.0;
    for (var o = group * params.group_out; o < (group + 1u) * params.group_out; o++) {
      part += read_gradient(pixel, o) * read_values(filter_at(o, tap) + place / 4u)[place % 4u];
    }
    sum[lane] = part;
  }
  return sum;
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let index = invocation_index(invocation, 64u);
  if (index >= params.quads_total) {
    return;
  }
  let in_quads = (params.in_channels + 3u) / 4u;
  let pixel = index / in_quads;
  let quad = index - pixel * in_quads;
  let line = pixel / params.in_width;
  let image = line / params.in_height;
  let y_padded = i32(line - image * params.in_height + params.padding_y);
  let x_padded = i32(pixel - line * params.in_width + params.padding_x);
  let stride_y = i32(params.stride_y);
  let stride_x = i32(params.stride_x);
  var sum = vec4f(0.0);
  for (var tap_y = 0u; tap_y < params.kernel_height; tap_y++) {
    let scaled_y = y_padded - i32(tap_y * params.dilation_y);
    let out_y = scaled_y / stride_y;
    if (scaled_y < 0 || out_y * stride_y != scaled_y || out_y >= i32(params.out_height)) {
      continue;
    }
    for (var tap_x = 0u; tap_x < params.kernel_width; tap_x++) {
      let scaled_x = x_padded - i32(tap_x * params.dilation_x);
      let out_x = scaled_x / stride_x;
      if (scaled_x < 0 || out_x * stride_x != scaled_x || out_x >= i32(params.out_width)) {
        continue;
      }
      let out_pixel = (image * params.out_height + u32(out_y)) * params.out_width + u32(out_x);
      sum += tap_sum(out_pixel * params.out_quads, quad, tap_y * params.kernel_width + tap_x);
    }
  }
  if (HAS_ADDEND) {
    sum += read_addend(index);
  }
  if (GATED) {
    sum = select(vec4f(0.0), sum, read_gate(index) > vec4f(0.0));
  }
  let lanes = vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u);
  write_dx(index, select(vec4f(0.0), sum, lanes < vec4u(params.in_channels)));
}
