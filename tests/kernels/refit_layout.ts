/**
 * How the buffers of a refit lie.
 *
 * @module
 */

/** Where element (row, column) of a packed lower triangle lies, panel by panel (kernels/refit/packed.wgsl). */
export function packedIndex(row: number, column: number, columns: number): number {
  let offset = 0;
  for (let first = 0; first + 64 <= row; first += 64) offset += 64 * Math.min(first + 64, columns);
  const first = row - row % 64;
  return offset + (row - first) * Math.min(first + 64, columns) + column;
}

/** Output rows of systems and the factors of their damping, as kernels read them. */
export function chosenRows(rows: readonly number[], factors: readonly number[]): Uint32Array {
  const words = new Uint32Array(2 * rows.length), floats = new Float32Array(words.buffer);
  rows.forEach((row, i) => {
    words[2 * i] = row;
    floats[2 * i + 1] = factors[i];
  });
  return words;
}
