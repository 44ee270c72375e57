// Winograd's operation for convolution, ReLU and max pooling 2 x 2 in one pass. Parameters, bindings and store are
// those of gemm/conv2d_forward_pooled.wgsl. A tile is a window of the pool.
//
// Shapes: transformed (16, O, I/4) in quads, the filters of winograd/weight.wgsl.

// include gemm/conv2d_forward_pooled
// include winograd/tiles

@group(0) @binding(20) var<storage, read> transformed: array<vec4f>;

fn image() -> Image {
  return Image(
    params.in_height,
    params.in_width,
    params.in_quads,
    vec2i(i32(params.padding)),
    2u * params.pooled_height,
    2u * params.pooled_width,
  );
}

fn read_input(i: u32) -> vec4f {
  return read_x(i);
}

fn filters_at(column: u32) -> vec4u {
  return min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(params.columns - 1u)) * params.in_quads;
}

fn load_filters(filters: vec4u, line: u32, column: u32, quad: u32) -> mat4x4f {
  let start = filters + vec4u((4u * line + column) * params.columns * params.in_quads + quad);
  return transpose(mat4x4f(
    read_transformed(start.x),
    read_transformed(start.y),
    read_transformed(start.z),
    read_transformed(start.w),
  ));
}

// The tile's pixels in line order. Past the last image the row lies past the last row.
fn store_tile(at: TilePosition, tile: u32, column: u32, pixels: mat4x4f) {
  let tile_x = at.tile_x + tile;
  if (tile_x >= params.pooled_width) {
    return;
  }
  let window = (at.image * params.pooled_height + at.tile_y) * params.pooled_width + tile_x;
  store_block(4u * window, column, 0u, pixels);
}
