// Makes a batch from images on the device. It picks, shifts, mirrors, normalises and cuts out:
//
//   x[row, y, x, c] = (images[rows[row], c, y + dy, x' + dx] / 255 - mean[c]) * inverse_std[c]
//
// If a row is mirrored, x' is width - 1 - x, else x. FLIP mirrors by a fair coin for each row and step. dy and dx
// are uniform in [-params.shift, params.shift], a padded random crop: bytes outside the image are 0. Then the
// pixels of a square with sides of params.cutout pixels become 0, which is the mean. Its middle is uniform over the
// image; what lies outside is cut off. The random numbers are hashes of step.seed and the row, so the same seed
// gives the same batch.
// Shapes: images, bytes (N, C, H, W), four in a u32; rows (batch); classes, a u32 per image; x (batch, H, W,
// quads), zero in padding channels; labels (batch); normalization, the quads of the mean, then those of 1 / std.
// One invocation computes one quad of four neighbouring pixels of a line. Their bytes lie in two neighbouring words
// per channel, in reverse if the row is mirrored. Dispatched by src/plan/images.ts.
// Source: DeVries and Taylor 2017, arXiv 1708.04552 (cutout).

// include dispatch

struct Params {
  strips: u32,
  inner: u32,
  channels: u32,
  height: u32,
  width: u32,
  shift: u32,
  cutout: u32,
}

struct Step {
  seed: u32,
}

override FLIP: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> normalization: array<vec4f>;
@group(0) @binding(3) var<storage, read> images: array<u32>;
@group(0) @binding(4) var<storage, read> classes: array<u32>;
@group(0) @binding(5) var<storage, read> rows: array<u32>;
@group(0) @binding(6) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> labels: array<u32>;

// include random/mix_bits

// Where a strip's pixels come from: the byte of the lowest in the image's first channel, and which lie inside.
struct Source {
  first: i32,
  inside: vec4<bool>,
  is_mirrored: bool,
}

// One channel of a strip, over 255. Bytes before the array and after it are inside no image and may be any.
fn read_channel(source: Source, channel: u32) -> vec4f {
  let index = u32(max(source.first + i32(channel * params.height * params.width), -4) + 4);
  let word = index / 4u;
  let shift = 8u * (index % 4u);
  let low = images[max(word, 1u) - 1u] >> shift;
  // In two steps: by 32 there is no shift.
  let high = (images[min(word, arrayLength(&images) - 1u)] << 1u) << (31u - shift);
  let bytes = (vec4u(low | high) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(0xffu);
  let ordered = select(bytes, bytes.wzyx, source.is_mirrored);
  let inside = source.inside & vec4<bool>(channel < params.channels);
  return select(vec4f(0.0), vec4f(ordered) / 255.0, inside);
}

// Which pixels of a strip from column x_0 on are cut out of line y.
fn is_cut(coins: u32, y: u32, x_0: u32) -> vec4<bool> {
  // Half the bits choose the line of the middle, half the column.
  let places = mix_bits(coins ^ 0x9e3779b9u);
  let top = i32((places & 0xffffu) % params.height) - i32(params.cutout / 2u);
  let left = i32((places >> 16u) % params.width) - i32(params.cutout / 2u);
  let side = i32(params.cutout);
  let column = vec4i(i32(x_0)) + vec4i(0, 1, 2, 3);
  let is_line_cut = i32(y) >= top && i32(y) < top + side;
  return vec4<bool>(is_line_cut) & (column >= vec4i(left)) & (column < vec4i(left + side));
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let i = invocation_index(invocation, 64u);
  if (i >= params.strips) {
    return;
  }
  let line_strips = (params.width + 3u) / 4u;
  let strip = i / params.inner;
  let quad = i - strip * params.inner;
  let line = strip / line_strips;
  let row = line / params.height;
  let image = rows[row];
  let coins = mix_bits(step.seed ^ mix_bits(row + 1u));
  let span = 2u * params.shift + 1u;
  let is_mirrored = FLIP && (coins & 1u) == 1u;
  let x_0 = 4u * (strip - line * line_strips);
  let width = i32(params.width);
  var from_x = vec4i(i32(x_0)) + vec4i(0, 1, 2, 3);
  from_x = select(from_x, vec4i(width - 1) - from_x, vec4<bool>(is_mirrored));
  from_x += vec4i(i32((coins >> 16u) % span) - i32(params.shift));
  let from_y = i32(line - row * params.height) + i32((coins >> 1u) % span) - i32(params.shift);
  let is_line_inside = from_y >= 0 && from_y < i32(params.height);
  let inside = vec4<bool>(is_line_inside) & (from_x >= vec4i(0)) & (from_x < vec4i(width));
  let clamped_y = clamp(from_y, 0, i32(params.height) - 1);
  let plane = i32(image * params.channels * params.height) + clamped_y;
  let source = Source(plane * width + min(from_x.x, from_x.w), inside, is_mirrored);
  // Columns are channels, then pixels.
  let pixels = transpose(mat4x4f(
    read_channel(source, 4u * quad),
    read_channel(source, 4u * quad + 1u),
    read_channel(source, 4u * quad + 2u),
    read_channel(source, 4u * quad + 3u),
  ));
  // Padding channels have a mean and an inverse deviation of zero.
  let mean = read_normalization(quad);
  let inverse = read_normalization(params.inner + quad);
  let first = (line * params.width + x_0) * params.inner + quad;
  let count = params.width - x_0;
  let cut = is_cut(coins, line - row * params.height, x_0);
  let zero = vec4f(0.0);
  write_x(first, select((pixels[0] - mean) * inverse, zero, cut.x));
  if (count > 1u) {
    write_x(first + params.inner, select((pixels[1] - mean) * inverse, zero, cut.y));
  }
  if (count > 2u) {
    write_x(first + 2u * params.inner, select((pixels[2] - mean) * inverse, zero, cut.z));
  }
  if (count > 3u) {
    write_x(first + 3u * params.inner, select((pixels[3] - mean) * inverse, zero, cut.w));
  }
  if (i % (params.inner * line_strips * params.height) == 0u) {
    labels[row] = classes[image];
  }
}
