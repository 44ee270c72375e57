// Computes the change of the mean output that the new weights leave:
//
//   shift[r] = t[r] - sum over a of solutions[s, a] m[support[r, a]],   r = chosen[s].row
//
// The means m of patches and t of targets come from the shifted samples: shift_scale shift_sums + scale sums. t
// lies behind the `columns` floats of m. Rows with a flag, whose system failed, keep what they have. A row with a
// result or a solution that is not finite gets a flag.
// Shapes: shift, floats from params.offset; support (rows, columns); solutions (systems, size) floats. One
// invocation computes one row in the order of the columns. Dispatched by src/prune/refit/solve.ts.

// include dispatch
// include math/finite

struct Params {
  systems: u32,
  size: u32,
  columns: u32,
  offset: u32,
  scale: f32,
  shift_scale: f32,
}

struct Chosen {
  row: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> solutions: array<f32>;
@group(0) @binding(2) var<storage, read> support: array<u32>;
@group(0) @binding(3) var<storage, read> counts: array<u32>;
@group(0) @binding(4) var<storage, read> chosen: array<Chosen>;
@group(0) @binding(5) var<storage, read_write> flags: array<u32>;
@group(0) @binding(6) var<storage, read> sums: array<f32>;
@group(0) @binding(7) var<storage, read> shift_sums: array<f32>;
@group(0) @binding(8) var<storage, read_write> shift: array<f32>;

fn mean_of(column: u32) -> f32 {
  return params.shift_scale * shift_sums[column] + params.scale * sums[column];
}

@compute @workgroup_size(8)
fn main(invocation: Invocation) {
  let system = invocation_index(invocation, 8u);
  if (system >= params.systems) {
    return;
  }
  let row = chosen[system].row;
  if (flags[row] != 0u) {
    return;
  }
  let count = counts[row];
  var sum = 0.0;
  var is_sound = true;
  for (var a = 0u; a < count; a++) {
    let solution = solutions[system * params.size + a];
    is_sound = is_sound && is_finite(solution);
    sum += finite_or_zero(solution) * mean_of(support[row * params.columns + a]);
  }
  let result = mean_of(params.columns + row) - sum;
  if (!is_sound || !is_finite(result)) {
    flags[row] = 1u;
    return;
  }
  shift[params.offset + row] = result;
}
