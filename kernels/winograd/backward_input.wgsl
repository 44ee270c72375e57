// Winograd's operation for the gradient of a convolution's input. Parameters, bindings and store are those of
// gemm/conv2d_backward_input.wgsl.
//
// The gradient is the convolution of dy with the filters turned by half a turn, with inputs and outputs exchanged.
// To turn a transformed filter is to read it backwards in each direction whose factor is 0 or 3. Lines 1 and 2 of G
// are symmetric up to the sign of the odd tap, and the transforms of input and output are those of the forward
// pass; so lines 0 and 3 change places.
// Shapes: transformed (16, O, I/4) in quads, the filters of winograd/weight.wgsl.

// include gemm/conv2d_backward_input
// include winograd/tiles

@group(0) @binding(20) var<storage, read> transformed: array<vec4f>;

fn image() -> Image {
  return Image(
    params.out_height,
    params.out_width,
    params.inner,
    2 - vec2i(vec2u(params.padding_y, params.padding_x)),
    params.in_height,
    params.in_width,
  );
}

fn read_input(i: u32) -> vec4f {
  return read_dy(i);
}

fn filters_at(column: u32) -> u32 {
  return min(column / 4u, channel_quads() - 1u);
}

fn turned(position: u32) -> u32 {
  return select(position, 3u - position, position % 3u == 0u);
}

// Past the last filter dy is zero, so any finite weight serves: the last one is read again.
fn load_filters(filters: u32, line: u32, column: u32, quad: u32) -> mat4x4f {
  let position = 4u * turned(line) + turned(column);
  let out_channel = min(vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u), vec4u(params.out_channels - 1u));
  let start = (vec4u(position * params.out_channels) + out_channel) * channel_quads() + filters;
  return mat4x4f(
    read_transformed(start.x),
    read_transformed(start.y),
    read_transformed(start.z),
    read_transformed(start.w),
  );
}

// The tile's pixels in line order. Past the last image the row lies past the last row.
fn store_tile(at: TilePosition, tile: u32, column: u32, pixels: mat4x4f) {
  let in_y = 2u * at.tile_y;
  let in_x = 2u * (at.tile_x + tile);
  if (in_x >= params.in_width) {
    return;
  }
  let row = (at.image * params.in_height + in_y) * params.in_width + in_x;
  let has_right = in_x + 1u < params.in_width;
  let has_lower = in_y + 1u < params.in_height;
  store(row, column, 0u, pixels[0]);
  if (has_right) {
    store(row + 1u, column, 0u, pixels[1]);
  }
  if (has_lower) {
    store(row + params.in_width, column, 0u, pixels[2]);
  }
  if (has_lower && has_right) {
    store(row + params.in_width + 1u, column, 0u, pixels[3]);
  }
}
