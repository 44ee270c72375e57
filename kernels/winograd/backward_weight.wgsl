// Computes the gradient of the weight of a convolution of stride 1 with filters three taps wide, by Winograd's F(3,
// 2) along the lines, for subgroups of 8. A workgroup of one subgroup computes a block of 32 filters x 8 strips. A
// strip is four channels under one line of the filter.
//
//   dw[o, ky, 0..2, i] = (m0 + m1 + m2, m1 - m2, m1 + m2 - m3), the m summed over all pairs of pixels of a line:
//   m0 = (d0 - d2) g0, m1 = (d1 + d2) (g0 + g1) / 2, m2 = (d2 - d1) (g0 - g1) / 2, m3 = (d1 - d3) g1
//   g = dy[n, oy, 2 t .. 2 t + 1, o], d = x[n, oy + ky - p, 2 t - p .. 2 t - p + 3, i]
//
// That is 4 products per pair instead of 6. Parameters, bindings and the layout of sums are those of
// gemm/conv2d_backward_weight.wgsl. A lane reads the gradients of four filters and the inputs of one strip, four
// pairs at a time, and takes the other strips from their lanes. workgroup_id.z is the split of the segments, which
// are lines of dy. Each sum is in their order. All bounds come from params and workgroup_id, so control flow is
// uniform around the broadcasts.
// It runs only on adapters on which a probe (src/gpu/subgroups.ts) found subgroups of SUBGROUP_SIZE lanes.
// Dispatched by src/kernels/winograd.ts.
// Source: Lavin and Gray 2015, arXiv 1509.09308, section 4.1 (F(m, r) and F(r, m) share their products).

// include gemm/conv2d_backward_weight
// include gemm/software/subgroup_broadcast

const BLOCK_ROWS = 32u;
const BLOCK_COLUMNS = 96u;
const BLOCKS_PER_WORKGROUP = 1u;
const LANE_ROWS = 4u;
const LANE_COLUMNS = 96u;
const SUBGROUP_SIZE = 8u;
const PIXELS = 8u;

// Sums of products: a matrix of four channels x four filters for each strip of the block.
struct Sums {
  c_${j}: mat4x4f,  // for j in 0..8
}

fn add_products(sums: ptr<function, Sums>, own: mat4x4f, a: mat4x4f) {
  (*sums).c_${j} += from_lane_${j}(own) * a;  // for j in 0..8
}

// Eight pixels of a line of dy and of the line of x under a strip's taps: the quads of the first, of x that under the first
// tap, which may lie outside, and how many pixels of the lines there are before them.
struct Octet {
  dy: u32,
  x: i32,
  out_x: u32,
  in_x: i32,
  inside: bool,
}

fn gradient_at(octet: Octet, pixel: u32) -> vec4f {
  let inside = octet.out_x + pixel < params.out_width;
  return select(vec4f(0.0), read_dy(octet.dy + pixel * out_quads()), inside);
}

// What is read outside of the line is not used.
fn input_at(octet: Octet, pixel: u32) -> vec4f {
  let inside = octet.inside && u32(octet.in_x + i32(pixel)) < params.in_width;
  return select(vec4f(0.0), read_x(u32(octet.x + i32(pixel * params.in_quads))), inside);
}

fn store_strip(row: u32, strip: u32, m_0: mat4x4f, m_1: mat4x4f, m_2: mat4x4f, m_3: mat4x4f, split: u32) {
  let tap_y = strip / params.in_quads;
  let column = 4u * (strip + 2u * tap_y * params.in_quads);
  let even = m_1 + m_2;
  store_block(row, column, split, m_0 + even);
  store_block(row, column + 4u * params.in_quads, split, m_1 - m_2);
  store_block(row, column + 8u * params.in_quads, split, even - m_3);
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = group.y * groups.x + group.x;
  let row_blocks = (params.rows + BLOCK_ROWS - 1u) / BLOCK_ROWS;
  let row = (block % row_blocks) * BLOCK_ROWS + LANE_ROWS * lane;
  let strips = params.columns / 12u;
  let first_strip = (block / row_blocks) * SUBGROUP_SIZE;
  if (first_strip >= strips) {
    return;
  }
  let strip = min(first_strip + lane, strips - 1u);
  let tap_y = strip / params.in_quads;
  let filter_quad = min(row / 4u, out_quads() - 1u);
  let in_quad = i32(strip - tap_y * params.in_quads);
  let shift = i32(tap_y) - i32(params.padding_y);
  var m_${x} = Sums();  // for x in 0..4
  let first = group.z * params.segments_per_split;
  let last = min(first + params.segments_per_split, params.segments);
  let octets = (params.out_width + PIXELS - 1u) / PIXELS;
  let steps = (max(first, last) - first) * octets;
  var segment = first;
  var image = first / params.out_height;
  var out_y = first - image * params.out_height;
  var out_x = 0u;
  var step = 0u;
  // Loops test last: to leave one that tests first, llvmpipe runs a round with all lanes off. A split may be empty.
  if (steps > 0u) {
    loop {
      let in_y = i32(out_y) + shift;
      let in_x = i32(out_x) - i32(params.padding_x);
      let pixel = (i32(image * params.in_height) + in_y) * i32(params.in_width) + in_x;
      let octet = Octet(
        (segment * params.out_width + out_x) * out_quads() + filter_quad,
        pixel * i32(params.in_quads) + in_quad,
        out_x,
        in_x,
        u32(in_y) < params.in_height,
      );
      let g_0 = transpose(mat4x4f(
        gradient_at(octet, 0u),
        gradient_at(octet, 2u),
        gradient_at(octet, 4u),
        gradient_at(octet, 6u),
      ));
      let g_1 = transpose(mat4x4f(
        gradient_at(octet, 1u),
        gradient_at(octet, 3u),
        gradient_at(octet, 5u),
        gradient_at(octet, 7u),
      ));
      let d_${x} = input_at(octet, ${x}u);  // for x in 0..10
      add_products(&m_0, mat4x4f(d_0 - d_2, d_2 - d_4, d_4 - d_6, d_6 - d_8), g_0);
      add_products(&m_1, mat4x4f(d_1 + d_2, d_3 + d_4, d_5 + d_6, d_7 + d_8), 0.5 * (g_0 + g_1));
      add_products(&m_2, mat4x4f(d_2 - d_1, d_4 - d_3, d_6 - d_5, d_8 - d_7), 0.5 * (g_0 - g_1));
      add_products(&m_3, mat4x4f(d_1 - d_3, d_3 - d_5, d_5 - d_7, d_7 - d_9), g_1);
      out_x += PIXELS;
      if (out_x >= params.out_width) {
        out_x = 0u;
        segment++;
        out_y++;
        if (out_y == params.out_height) {
          out_y = 0u;
          image++;
        }
      }
      step++;
      if (step >= steps) {
        break;
      }
    }
  }
  store_strip(row, first_strip + 0u, m_0.c_0, m_1.c_0, m_2.c_0, m_3.c_0, group.z);
  // for j in 1..8
  if (first_strip + ${j}u < strips) {
    store_strip(row, first_strip + ${j}u, m_0.c_${j}, m_1.c_${j}, m_2.c_${j}, m_3.c_${j}, group.z);
  }
  // end
}
