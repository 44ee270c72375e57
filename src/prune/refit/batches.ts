/**
 * Which normal equations are solved side by side.
 *
 * @module
 */

/** Columns of a block of the factorisation, of which sizes are multiples. */
export const blockColumns = 16;

/** Lines that the right side takes, the last seven of zeros. */
const rightSideLines = 8;

/** Systems of one size that are solved side by side, one for each output row. */
export interface SystemBatch {
  readonly rows: readonly number[];
  /** Columns of each, at least the kept weights of each row. */
  readonly size: number;
  /** Lines of each: its matrix, its right side and, where asked for, the identity. */
  readonly lines: number;
}

/** Systems that are side by side at least before one is put off for being much smaller: lanes of most processors. */
const fewestSystems = 8;

/** A smaller system is put off where its columns are fewer than this share of the largest one's. */
const leastShare = 0.75;

/** Quads of one system of a batch. */
export function systemQuads({ size, lines }: Pick<SystemBatch, "size" | "lines">): number {
  return lines * size / 4;
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
    const size = sizeOf(sorted[start]);
    const lines = size + rightSideLines + (withIdentity ? size : 0);
    const most = Math.max(1, Math.floor(scratchQuads / systemQuads({ size, lines })));
    let end = start + 1;
    while (end < sorted.length && end - start < most) {
      if (end - start >= fewestSystems && sizeOf(sorted[end]) < leastShare * size) break;
      end++;
    }
    batches.push({ rows: sorted.slice(start, end), size, lines });
    start = end;
  }
  return batches;
}
