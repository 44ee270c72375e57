// Winograd's operation for the forward pass of a convolution. Parameters, bindings and store are those of
// gemm/conv2d_forward.wgsl.
//
// Shapes: transformed (16, O, I/4) in quads, the filters of winograd/weight.wgsl.

// include gemm/conv2d_forward
// include winograd/tiles

@group(0) @binding(20) var<storage, read> transformed: array<vec4f>;

fn image() -> Image {
  return Image(
    params.in_height,
    params.in_width,
    params.inner,
    vec2i(vec2u(params.padding_y, params.padding_x)),
    params.out_height,
    params.out_width,
  );
}

fn read_input(i: u32) -> vec4f {
  return read_x(i);
}

fn filters_at(column: u32) -> vec4u {
  return min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(params.columns - 1u)) * params.inner;
}

fn load_filters(filters: vec4u, line: u32, column: u32, quad: u32) -> mat4x4f {
  let start = filters + vec4u((4u * line + column) * params.columns * params.inner + quad);
  return transpose(mat4x4f(
    read_transformed(start.x),
    read_transformed(start.y),
    read_transformed(start.z),
    read_transformed(start.w),
  ));
}

// The tile's pixels in line order. Past the last image the row lies past the last row.
fn store_tile(at: TilePosition, tile: u32, column: u32, pixels: mat4x4f) {
  let out_y = 2u * at.tile_y;
  let out_x = 2u * (at.tile_x + tile);
  if (column >= params.columns || out_x >= params.out_width) {
    return;
  }
  let row = (at.image * params.out_height + out_y) * params.out_width + out_x;
  let has_right = out_x + 1u < params.out_width;
  let has_lower = out_y + 1u < params.out_height;
  let epilogue = epilogue_at(column / 4u);
  store_row(row, column, epilogue, pixels[0]);
  if (has_right) {
    store_row(row + 1u, column, epilogue, pixels[1]);
  }
  if (has_lower) {
    store_row(row + params.out_width, column, epilogue, pixels[2]);
  }
  if (has_lower && has_right) {
    store_row(row + params.out_width + 1u, column, epilogue, pixels[3]);
  }
}
