// The bindings of the kernels that factor the lines of a block column, and what they do after their sums. This file
// is part of refit/factor_panel.wgsl and refit/factor_panel_subgroup.wgsl.

// include refit/systems

// True for the lines of the diagonal block, of which only the sums are subtracted.
override IS_DIAGONAL: bool = false;

struct Params {
  systems: u32,
  size: u32,
  lines: u32,
  shrink: u32,
  block: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> inverses: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> systems: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> diagonals: array<vec4f>;

// Fours of lines to compute.
fn line_groups() -> u32 {
  let below = params.lines - params.shrink * params.block - 32u;
  return select(below, 32u, IS_DIAGONAL) / 4u;
}

// The first line of four.
fn line_of(group: u32) -> u32 {
  return 32u * params.block + select(32u, 0u, IS_DIAGONAL) + 4u * group;
}

// The first line of the identity's part.
fn unit_line() -> u32 {
  return params.size + 8u;
}

// The first quad of a line in the first block column that has the line: left of it the identity's part is zero.
fn first_quad(line: u32) -> u32 {
  return select(0u, (line - unit_line()) / 32u * 8u, line >= unit_line());
}

// Four lines of four columns: column r is line r.
fn load_lines(start: u32) -> mat4x4f {
  return mat4x4f(
    read_systems(start),
    read_systems(start + 1u),
    read_systems(start + 2u),
    read_systems(start + 3u),
  );
}

// Four lines less their sums, in quad `quad` of the block column; the identity is not stored before it is factored.
fn subtract(system: u32, line: u32, quad: u32, sum: mat4x4f) -> mat4x4f {
  let column = 8u * params.block + quad;
  if (line < unit_line()) {
    return load_lines(column_start(system, column) + line) - sum;
  }
  let one = select(0.0, 1.0, line - unit_line() == 4u * column);
  return mat4x4f(
    vec4f(one, 0.0, 0.0, 0.0),
    vec4f(0.0, one, 0.0, 0.0),
    vec4f(0.0, 0.0, one, 0.0),
    vec4f(0.0, 0.0, 0.0, one),
  ) - sum;
}

fn store_lines(system: u32, line: u32, quad: u32, tile: mat4x4f) {
  let start = column_start(system, 8u * params.block + quad) + line;
  write_systems(start, tile[0]);
  write_systems(start + 1u, tile[1]);
  write_systems(start + 2u, tile[2]);
  write_systems(start + 3u, tile[3]);
}

fn store_diagonal(system: u32, line: u32, quad: u32, tile: mat4x4f) {
  let start = 32u * (8u * system + quad) + line - 32u * params.block;
  write_diagonals(start, tile[0]);
  write_diagonals(start + 1u, tile[1]);
  write_diagonals(start + 2u, tile[2]);
  write_diagonals(start + 3u, tile[3]);
}

// Tile (i, j) of a part of a record: column q is column 4 j + q of lines 4 i .. 4 i + 3.
fn load_tile(start: u32, i: u32, j: u32) -> mat4x4f {
  let place = start + 16u * i + 4u * j;
  return mat4x4f(
    read_inverses(place),
    read_inverses(place + 1u),
    read_inverses(place + 2u),
    read_inverses(place + 3u),
  );
}

// Four lines of a half of the block column, 16 columns.
struct Half {
  q_0: mat4x4f,
  q_1: mat4x4f,
  q_2: mat4x4f,
  q_3: mat4x4f,
}

// Multiplies by the lower triangle of a part of a record.
fn multiply_triangle(start: u32, d: Half) -> Half {
  return Half(
    load_tile(start, 0u, 0u) * d.q_0,
    load_tile(start, 1u, 0u) * d.q_0 + load_tile(start, 1u, 1u) * d.q_1,
    load_tile(start, 2u, 0u) * d.q_0 + load_tile(start, 2u, 1u) * d.q_1 + load_tile(start, 2u, 2u) * d.q_2,
    load_tile(start, 3u, 0u) * d.q_0 + load_tile(start, 3u, 1u) * d.q_1 + load_tile(start, 3u, 2u) * d.q_2
      + load_tile(start, 3u, 3u) * d.q_3,
  );
}

fn multiply_line(start: u32, i: u32, d: Half) -> mat4x4f {
  return load_tile(start, i, 0u) * d.q_0 + load_tile(start, i, 1u) * d.q_1 + load_tile(start, i, 2u) * d.q_2
    + load_tile(start, i, 3u) * d.q_3;
}

// Subtracts the sums of four lines, c for the first half's columns and e for the second's, and stores: in `diagonals`, or
// in place once multiplied by the diagonal block's inverse.
fn finish_lines(system: u32, line: u32, c: Half, e: Half) {
  let d = Half(
    subtract(system, line, 0u, c.q_0),
    subtract(system, line, 1u, c.q_1),
    subtract(system, line, 2u, c.q_2),
    subtract(system, line, 3u, c.q_3),
  );
  var f = Half(
    subtract(system, line, 4u, e.q_0),
    subtract(system, line, 5u, e.q_1),
    subtract(system, line, 6u, e.q_2),
    subtract(system, line, 7u, e.q_3),
  );
  if (IS_DIAGONAL) {
    store_diagonal(system, line, 0u, d.q_0);
    store_diagonal(system, line, 1u, d.q_1);
    store_diagonal(system, line, 2u, d.q_2);
    store_diagonal(system, line, 3u, d.q_3);
    store_diagonal(system, line, 4u, f.q_0);
    store_diagonal(system, line, 5u, f.q_1);
    store_diagonal(system, line, 6u, f.q_2);
    store_diagonal(system, line, 7u, f.q_3);
    return;
  }
  let record = record_start(system, params.block);
  let left = multiply_triangle(record, d);
  store_lines(system, line, 0u, left.q_0);
  store_lines(system, line, 1u, left.q_1);
  store_lines(system, line, 2u, left.q_2);
  store_lines(system, line, 3u, left.q_3);
  let below = record + 128u;
  f.q_0 -= multiply_line(below, 0u, left);
  f.q_1 -= multiply_line(below, 1u, left);
  f.q_2 -= multiply_line(below, 2u, left);
  f.q_3 -= multiply_line(below, 3u, left);
  let right = multiply_triangle(record + 64u, f);
  store_lines(system, line, 4u, right.q_0);
  store_lines(system, line, 5u, right.q_1);
  store_lines(system, line, 6u, right.q_2);
  store_lines(system, line, 7u, right.q_3);
}
