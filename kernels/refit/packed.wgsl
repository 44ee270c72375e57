// Finds element (row, column), column <= row, of a symmetric matrix of `columns` lines in its packed lower
// triangle. The triangle lies in panels of 64 lines one after the other. A panel is as wide as the diagonal element
// of its last line. This file is part of the kernels that read Gram matrices.

fn packed_index(row: u32, column: u32, columns: u32) -> u32 {
  let panel = row / 64u;
  let width = min(64u * (panel + 1u), columns);
  return 2048u * panel * (panel + 1u) + (row - 64u * panel) * width + column;
}
