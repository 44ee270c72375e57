// Where element (row, column), column <= row, of a symmetric matrix of `columns` lines lies among the floats of its
// packed lower triangle: panels of 64 lines, a panel as wide as its last line's diagonal element, one after the other.
// Part of the kernels that read Gram matrices.

fn packed_index(row: u32, column: u32, columns: u32) -> u32 {
  let panel = row / 64u;
  let width = min(64u * (panel + 1u), columns);
  return 2048u * panel * (panel + 1u) + (row - 64u * panel) * width + column;
}
