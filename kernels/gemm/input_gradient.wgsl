// What both operations for the gradient of a convolution's input share: columns, loads and the store. An operation gives
// Params, the overrides, the bindings, filter_taps() and pixel_of(row).

// Four input channels: the quad that holds them in the first filter's first tap.
struct Columns {
  quad: u32,
}

fn channel_quads() -> u32 {
  return (params.columns + 3u) / 4u;
}

fn columns_at(column: u32) -> Columns {
  return Columns(params.weight + min(column / 4u, channel_quads() - 1u));
}

fn read_pixel(start: i32, k: u32) -> vec4f {
  return select(vec4f(0.0), read_dy(u32(max(start, 0)) + k), start >= 0);
}

fn load_a(rows: vec4i, k: u32) -> mat4x4f {
  return mat4x4f(
    read_pixel(rows.x, k),
    read_pixel(rows.y, k),
    read_pixel(rows.z, k),
    read_pixel(rows.w, k),
  );
}

// Past the last filter dy is zero, so any finite weight serves: the last one is read again.
fn load_b(columns: vec4u, k: u32) -> mat4x4f {
  let out_channel = min(vec4u(4u * k) + vec4u(0u, 1u, 2u, 3u), vec4u(params.out_channels - 1u));
  let quad = columns + out_channel * (filter_taps() * channel_quads());
  return mat4x4f(read_values(quad.x), read_values(quad.y), read_values(quad.z), read_values(quad.w));
}

fn store(row: u32, column: u32, split: u32, sum: vec4f) {
  if (row >= params.rows || column >= params.columns) {
    return;
  }
  let index = pixel_of(row) * channel_quads() + column / 4u;
  var value = sum;
  if (HAS_ADDEND) {
    value += read_addend(index);
  }
  if (GATED) {
    value = select(vec4f(0.0), value, read_gate(index) > vec4f(0.0));
  }
  write_dx(index, value);
}

fn store_block(row: u32, column: u32, split: u32, c: mat4x4f) {
  store(row, column, split, c[0]);
  store(row + 1u, column, split, c[1]);
  store(row + 2u, column, split, c[2]);
  store(row + 3u, column, split, c[3]);
}
