// Transforms the filters of a 3 x 3 convolution for Winograd's F(2 x 2, 3 x 3):
//
//   transformed[4 i + j, o, c] = sum over ky, kx of G[i, ky] G[j, kx] w[o, ky, kx, c]
//   G = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1]
//
// Shapes: w (O, 3, 3, I/4) in quads at params.weight of the value arena; transformed (16, O, I/4) in quads. One
// invocation transforms a quad of channels of one filter: it reads 9 quads and writes 16. Dispatched by
// src/kernels/winograd.ts.
// Source: Lavin and Gray 2015, arXiv 1509.09308, section 4.1.

struct Params {
  filters: u32,
  in_quads: u32,
  weight: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> transformed: array<vec4f>;

// G of the three quads of a line or column of a filter.
fn transform(taps: mat3x4f) -> mat4x4f {
  let even = 0.5 * (taps[0] + taps[2]);
  let odd = 0.5 * taps[1];
  return mat4x4f(taps[0], even + odd, even - odd, taps[2]);
}

fn load_line(start: u32) -> mat4x4f {
  let step = params.in_quads;
  return transform(mat3x4f(read_values(start), read_values(start + step), read_values(start + 2u * step)));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) index: u32) {
  let item = (group.y * groups.x + group.x) * 64u + index;
  let items = params.filters * params.in_quads;
  if (item >= items) {
    return;
  }
  let filter_index = item / params.in_quads;
  let start = params.weight + item + 8u * filter_index * params.in_quads;
  let upper = load_line(start);
  let middle = load_line(start + 3u * params.in_quads);
  let lower = load_line(start + 6u * params.in_quads);
  for (var column = 0u; column < 4u; column++) {
    let lines = transform(mat3x4f(upper[column], middle[column], lower[column]));
    for (var line = 0u; line < 4u; line++) {
      write_transformed((4u * line + column) * items + item, lines[line]);
    }
  }
}
