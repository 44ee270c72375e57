// Makes a batch from the resident images: picks, shifts, mirrors and normalises.
//
//   x[row, y, x, c] = (images[rows[row], c, y + dy, x' + dx] / 255 - mean[c]) * inverse_std[c]
//
// with x' = width - 1 - x where the row is mirrored (FLIP: a fair coin a row and step) and dy, dx uniform in
// [-params.shift, params.shift] (a padded random crop; pixels from outside are 0 before normalising, as zero padding of
// the bytes gives). The coins come from a hash of step.seed and the row: the same seed gives the same batch.
// images: bytes (N, C, H, W) four to a u32; rows (batch); classes: a u32 an image; x (batch, H, W, quads) in quads,
// zero in the padding channels; labels (batch); normalization: the
// quads of the mean, then those of 1 / std. One invocation computes one quad.

struct Params {
  quads: u32,
  inner: u32,
  channels: u32,
  height: u32,
  width: u32,
  shift: u32,
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

fn mix_bits(value: u32) -> u32 {
  var bits = value;
  bits = (bits ^ (bits >> 16u)) * 0x85ebca6bu;
  bits = (bits ^ (bits >> 13u)) * 0xc2b2ae35u;
  return bits ^ (bits >> 16u);
}

fn read_byte(index: u32) -> f32 {
  return f32((images[index / 4u] >> (8u * (index % 4u))) & 0xffu) / 255.0;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * (groups.x * 64u) + id.x;
  if (i >= params.quads) {
    return;
  }
  let pixel = i / params.inner;
  let quad = i - pixel * params.inner;
  let line = pixel / params.width;
  let row = line / params.height;
  let image = rows[row];
  let coins = mix_bits(step.seed ^ mix_bits(row + 1u));
  let span = 2u * params.shift + 1u;
  var in_x = pixel - line * params.width;
  if (FLIP && (coins & 1u) == 1u) {
    in_x = params.width - 1u - in_x;
  }
  let from_y = i32(line - row * params.height) + i32((coins >> 1u) % span) - i32(params.shift);
  let from_x = i32(in_x) + i32((coins >> 16u) % span) - i32(params.shift);
  let inside = from_y >= 0 && from_y < i32(params.height) && from_x >= 0 && from_x < i32(params.width);
  var bytes = vec4f(0.0);
  for (var j = 0u; j < 4u; j++) {
    let channel = 4u * quad + j;
    if (inside && channel < params.channels) {
      let plane = (image * params.channels + channel) * params.height + u32(from_y);
      bytes[j] = read_byte(plane * params.width + u32(from_x));
    }
  }
  // Padding channels have a mean and an inverse deviation of zero.
  let value = (bytes - read_normalization(quad)) * read_normalization(params.inner + quad);
  write_x(i, value);
  if (i % (params.inner * params.width * params.height) == 0u) {
    labels[row] = classes[image];
  }
}
