/**
 * Which normal equations are solved side by side.
 *
 * @module
 */

/** Columns of a block of the factorisation, of which sizes are multiples. */
export const blockColumns = 32;

/** Quads that are kept of the diagonal block of a system, its factor's inverses (kernels/refit/systems.wgsl). */
export const recordQuads = 192;

/** Quads of a diagonal block. */
export const diagonalQuads = blockColumns * blockColumns / 4;

/** Lines that the right side takes, the last seven of zeros. */
const rightSideLines = 8;

/** How a system lies in block columns, one after the other (kernels/refit/systems.wgsl). */
export interface SystemLayout {
  /** Columns of its matrix. */
  readonly size: number;
  /** Lines of the first block column: the matrix, the right side and, where asked for, a block of the identity. */
  readonly lines: number;
  /** Lines by which each block column is shorter than the one before. */
  readonly shrink: number;
}

/** Systems of one size that are solved side by side, one for each output row of at most as many kept weights. */
export interface SystemBatch extends SystemLayout {
  readonly rows: readonly number[];
}

/** Systems that are side by side at least before one is put off for being much smaller: lanes of most processors. */
const fewestSystems = 8;

/** A smaller system is put off where its columns are fewer than this share of the largest one's. */
const leastShare = 0.75;

/** The layout of systems of a size, with lines of the identity or without. */
export function systemLayout(size: number, withIdentity: boolean): SystemLayout {
  const lines = size + rightSideLines;
  return withIdentity
    ? { size, lines: lines + blockColumns, shrink: 0 }
    : { size, lines, shrink: blockColumns };
}

/** Lines of a block column of a system. */
export function blockLines({ lines, shrink }: SystemLayout, block: number): number {
  return lines - shrink * block;
}

/** Quads of the first block columns of a system, or of all. */
export function systemQuads(layout: SystemLayout, blocks = layout.size / blockColumns): number {
  return blockColumns / 4 * (layout.lines * blocks - layout.shrink * blocks * (blocks - 1) / 2);
}

/**
 * Puts output rows together by the number of their kept weights, the most first and ties by row.
 *
 * @param rows The output rows to solve.
 * @param counts Kept weights of every output row.
 * @param scratchQuads Quads that the systems of a batch may take; one system may take more.
 * @param withIdentity True where the inverse's diagonal is wanted.
 */
export function batchSystems(
  rows: readonly number[],
  { counts, scratchQuads, withIdentity }: {
    readonly counts: ArrayLike<number>;
    readonly scratchQuads: number;
    readonly withIdentity: boolean;
  },
): readonly SystemBatch[] {
  const sizeOf = (row: number) => blockColumns * Math.max(1, Math.ceil(counts[row] / blockColumns));
  const sorted = [...rows].sort((a, b) => counts[b] - counts[a] || a - b);
  const batches: SystemBatch[] = [];
  for (let start = 0; start < sorted.length;) {
    const layout = systemLayout(sizeOf(sorted[start]), withIdentity), { size } = layout;
    const most = Math.max(1, Math.floor(scratchQuads / systemQuads(layout)));
    let end = start + 1;
    while (end < sorted.length && end - start < most) {
      if (end - start >= fewestSystems && sizeOf(sorted[end]) < leastShare * size) break;
      end++;
    }
    batches.push({ rows: sorted.slice(start, end), ...layout });
    start = end;
  }
  return batches;
}
