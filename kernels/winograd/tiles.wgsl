// Reads the input of Winograd's operations: four tiles side by side are ten columns of four lines. This file is
// part of these operations, which give image() and read_input(i).

// The input of a 3 x 3 convolution of stride 1, its padding (above, on the left), and the output's sides.
struct Image {
  height: u32,
  width: u32,
  quads: u32,
  padding: vec2i,
  out_height: u32,
  out_width: u32,
}

// Where four tiles lie: their image, their line of tiles, the first one's place in that line.
struct TilePosition {
  image: u32,
  tile_y: u32,
  tile_x: u32,
}

// Four tiles: the image line and column under the first tile's first input, and the quad of that pixel, which may lie
// outside.
struct Tiles {
  top: i32,
  left: i32,
  start: i32,
}

// The two image lines of one line of B^T d, the second times sign: their first quads.
struct Lines {
  left: i32,
  start: vec2i,
  inside: vec2<bool>,
  sign: f32,
}

fn tiles_high() -> u32 {
  return (image().out_height + 1u) / 2u;
}

fn groups_wide() -> u32 {
  return (image().out_width + 7u) / 8u;
}

fn position_of(group: u32) -> TilePosition {
  let line = group / groups_wide();
  let index = line / tiles_high();
  return TilePosition(index, line - index * tiles_high(), 4u * (group - line * groups_wide()));
}

fn tiles_at(at: TilePosition) -> Tiles {
  let top = i32(2u * at.tile_y) - image().padding.x;
  let left = i32(2u * at.tile_x) - image().padding.y;
  let start = (i32(at.image * image().height) + top) * i32(image().width) + left;
  return Tiles(top, left, start * i32(image().quads));
}

// Lines of B^T d: d0 - d2, d1 + d2, d2 - d1, d1 - d3.
fn lines_at(tiles: Tiles, line: u32) -> Lines {
  let lines = vec2i(i32(min(line, 4u - line)), i32(select(2u, 2u * line - 3u, line >= 2u)));
  let inside = vec2u(vec2i(tiles.top) + lines) < vec2u(image().height);
  let start = vec2i(tiles.start) + lines * i32(image().width * image().quads);
  return Lines(tiles.left, start, inside, select(-1.0, 1.0, line == 1u));
}

// What is read outside of the image is not used.
fn load_tile_column(lines: Lines, column: u32, quad: u32) -> vec4f {
  let inside = lines.inside & vec2<bool>(u32(lines.left + i32(column)) < image().width);
  let index = vec2u(lines.start + vec2i(i32(column * image().quads + quad)));
  let upper = select(vec4f(0.0), read_input(index.x), inside.x);
  let lower = select(vec4f(0.0), read_input(index.y), inside.y);
  return upper + lines.sign * lower;
}
