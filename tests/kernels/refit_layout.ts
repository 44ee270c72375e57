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

/** Where the lines of a batch of systems lie in block columns (kernels/refit/systems.wgsl). */
export interface BlockColumns {
  readonly systems: number;
  readonly size: number;
  /** With lines of the identity or without. */
  readonly withIdentity: boolean;
}

/** Lines of block column `block`: from its own on, the right side's eight, the identity's to its last. */
function linesOf({ size, withIdentity }: BlockColumns, block: number): number {
  return size - 32 * block + 8 + (withIdentity ? 32 * (block + 1) : 0);
}

/** Floats of all systems. */
export function systemFloats(layout: BlockColumns): number {
  let lines = 0;
  for (let block = 0; 32 * block < layout.size; block++) lines += linesOf(layout, block);
  return 32 * layout.systems * lines;
}

/** The float of a system at a line and column, which its block column must have. */
export function systemIndex(layout: BlockColumns, system: number, line: number, column: number): number {
  const block = Math.floor(column / 32), quad = Math.floor(column % 32 / 4), lines = linesOf(layout, block);
  let before = 0;
  for (let i = 0; i < block; i++) before += linesOf(layout, i);
  return 4 * (8 * layout.systems * before + (8 * system + quad) * lines + line - 32 * block) + column % 4;
}
