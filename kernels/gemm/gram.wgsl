// Operation: Gram products of a batch of rows, as a matrix product over the samples.
//
//   c[row, column] = sum over samples of v[sample, first + row] v[sample, column]
//
// The product is split over the samples, so that few columns still fill the device. The matrix is symmetric among
// patches, so src/prune/refit/gram.ts asks only for panels of its lower triangle.
// Product: rows and columns are columns of v, the rows from quad params.first_quad on; segments x inner x 4 are the
// samples, of which absent ones are zero.
// Shapes: v (samples, quads), whose rows are those of kernels/refit/gather_*.wgsl: a patch of the input, then the
// target; sums (splits, rows, columns / 4) in quads. Dispatched by src/prune/refit/gram.ts.

struct Params {
  rows: u32,
  columns: u32,
  segments: u32,
  inner: u32,
  segments_per_split: u32,
  quads: u32,
  first_quad: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> v: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;

// Four columns of v: the quad that holds them.
struct Strip {
  quad: u32,
}

// The same in the first sample of a segment.
struct StripSegment {
  start: u32,
}

fn rows_at(row: u32) -> Strip {
  return Strip(params.first_quad + min(row, params.rows - 1u) / 4u);
}

fn columns_at(column: u32) -> Strip {
  return Strip(min(column, params.columns - 1u) / 4u);
}

fn row_segment(rows: Strip, segment: u32) -> StripSegment {
  return StripSegment(4u * segment * params.inner * params.quads + rows.quad);
}

fn column_segment(columns: Strip, segment: u32) -> StripSegment {
  return row_segment(columns, segment);
}

fn load_b(segment: StripSegment, k: u32) -> mat4x4f {
  let start = segment.start + 4u * k * params.quads;
  return mat4x4f(
    read_v(start),
    read_v(start + params.quads),
    read_v(start + 2u * params.quads),
    read_v(start + 3u * params.quads),
  );
}

fn load_a(segment: StripSegment, k: u32) -> mat4x4f {
  return transpose(load_b(segment, k));
}

fn store(row: u32, column: u32, split: u32, sum: vec4f) {
  if (row >= params.rows || column >= params.columns) {
    return;
  }
  write_sums((split * params.rows + row) * (params.columns / 4u) + column / 4u, sum);
}

fn store_block(row: u32, column: u32, split: u32, c: mat4x4f) {
  store(row, column, split, c[0]);
  store(row + 1u, column, split, c[1]);
  store(row + 2u, column, split, c[2]);
  store(row + 3u, column, split, c[3]);
}
