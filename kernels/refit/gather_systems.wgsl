// Sets up the normal equations of a batch of output rows, each on its own support. System s belongs to output row
// r, with support S of n columns and damping d = damping[0] factor. It is a symmetric matrix of `size` lines. Its
// lower triangle is written in whole blocks of 32 columns:
//
//   A[a, b] = H[S_a, S_b] + d (a == b) for a, b < n;   d (a == b) elsewhere, which fills up to the batch's common size
//
// Its layout is that of refit/systems.wgsl; the lines below it are those of refit/gather_right_sides.wgsl.
// Shapes: covariance, the packed H (refit/packed.wgsl) of `columns` columns; support (output rows, columns). One
// invocation computes four lines of a block column, which look up its columns together. Block columns k and last -
// k have size + 32 lines together. Dispatched by src/prune/refit/solve.ts.

// include dispatch
// include refit/packed
// include refit/systems

struct Params {
  systems: u32,
  size: u32,
  lines: u32,
  shrink: u32,
  columns: u32,
}

struct Chosen {
  row: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> covariance: array<vec4f>;
@group(0) @binding(2) var<storage, read> damping: array<f32>;
@group(0) @binding(3) var<storage, read> support: array<u32>;
@group(0) @binding(4) var<storage, read> counts: array<u32>;
@group(0) @binding(5) var<storage, read> chosen: array<Chosen>;
@group(0) @binding(6) var<storage, read_write> systems: array<vec4f>;

// Four lines of a system, by line.
struct Lines {
  a: vec4u,
  // Their columns of H, and where its line of each begins, less what is looked up in it.
  columns: vec4u,
  starts: vec4u,
  // How many lines' columns are kept, and where the support of the output row begins.
  count: u32,
  support_start: u32,
}

// Element b of four lines, before the damping.
fn elements(lines: Lines, b: u32) -> vec4f {
  let column = support[lines.support_start + min(b, max(lines.count, 1u) - 1u)];
  // Right of the diagonal anything may stand, but H does not have it.
  let places = lines.starts + min(vec4u(column), lines.columns);
  let values = vec4f(
    read_covariance(places.x / 4u)[places.x % 4u],
    read_covariance(places.y / 4u)[places.y % 4u],
    read_covariance(places.z / 4u)[places.z % 4u],
    read_covariance(places.w / 4u)[places.w % 4u],
  );
  return select(vec4f(0.0), values, (lines.a < vec4u(lines.count)) & vec4<bool>(b < lines.count));
}

@compute @workgroup_size(64)
fn main(invocation: Invocation) {
  let index = invocation_index(invocation, 64u);
  let blocks = params.size / 32u;
  let pairs = (blocks + 1u) / 2u;
  let pair_groups = params.size / 4u + 8u;
  let pair = index / pair_groups;
  let system = pair / pairs;
  if (system >= params.systems) {
    return;
  }
  let first = pair - system * pairs;
  let place = index - pair * pair_groups;
  let first_groups = params.size / 4u - 8u * first;
  let in_first = place < first_groups;
  let block = select(blocks - 1u - first, first, in_first);
  // The one in the middle of an odd number is its own other.
  if (!in_first && block == first) {
    return;
  }
  let a = 4u * select(place - first_groups, place, in_first) + 32u * block;
  let row = chosen[system].row;
  let count = counts[row];
  let start = row * params.columns;
  let all = vec4u(a, a + 1u, a + 2u, a + 3u);
  let last = max(count, 1u) - 1u;
  let columns = vec4u(
    support[start + min(all.x, last)],
    support[start + min(all.y, last)],
    support[start + min(all.z, last)],
    support[start + min(all.w, last)],
  );
  let starts = vec4u(
    packed_index(columns.x, 0u, params.columns),
    packed_index(columns.y, 0u, params.columns),
    packed_index(columns.z, 0u, params.columns),
    packed_index(columns.w, 0u, params.columns),
  );
  let lines = Lines(all, columns, starts, count, start);
  let added = damping[0] * chosen[system].factor;
  for (var i = 0u; i < 8u; i++) {
    let b = 32u * block + 4u * i;
    let quads = transpose(
      mat4x4f(elements(lines, b), elements(lines, b + 1u), elements(lines, b + 2u), elements(lines, b + 3u)),
    );
    let one = select(0.0, added, a == b);
    let out = column_start(system, 8u * block + i) + a;
    write_systems(out, quads[0] + vec4f(one, 0.0, 0.0, 0.0));
    write_systems(out + 1u, quads[1] + vec4f(0.0, one, 0.0, 0.0));
    write_systems(out + 2u, quads[2] + vec4f(0.0, 0.0, one, 0.0));
    write_systems(out + 3u, quads[3] + vec4f(0.0, 0.0, 0.0, one));
  }
}
