/**
 * The order in which an epoch visits the rows of a split.
 *
 * @module
 */

import { ShapeError } from "../errors.ts";
import { openRandomStream, shuffledIndices } from "../random.ts";

/** The division of an epoch into batches. */
export interface EpochOptions {
  /** Rows in the split. */
  readonly count: number;
  /** Rows per batch. */
  readonly batch: number;
  /** The seed of the order, together with `epoch`. */
  readonly seed: number;
  /** Zero-based epoch. */
  readonly epoch: number;
  /** True visits the rows in a random order, false from 0 to count - 1. */
  readonly shuffle: boolean;
  /** True skips the last batch if it has fewer than `batch` rows; false returns it. */
  readonly dropLast: boolean;
}

/**
 * Returns the row indices of each batch of one epoch. The same options give the same rows on every machine.
 *
 * @example
 * ```ts
 * import { epochBatches } from "./batches.ts";
 * epochBatches({ count: 5, batch: 2, seed: 1, epoch: 0, shuffle: false, dropLast: false }); // [0, 1], [2, 3], [4]
 * ```
 * @throws {ShapeError} If count or batch is not a whole number of at least 1, or no batch would be left.
 */
export function epochBatches(options: EpochOptions): Uint32Array[] {
  const { count, batch, seed, epoch, shuffle, dropLast } = options;
  checkBatches(options);
  const order = shuffle
    ? shuffledIndices(count, openRandomStream(seed, `batches of epoch ${epoch}`))
    : Uint32Array.from({ length: count }, (_, i) => i);
  const batches: Uint32Array[] = [];
  const end = dropLast ? count - count % batch : count;
  for (let start = 0; start < end; start += batch) {
    batches.push(order.subarray(start, Math.min(start + batch, count)));
  }
  return batches;
}

/**
 * Checks that an epoch has a batch.
 *
 * @throws {ShapeError} If count or batch is not a whole number of at least 1, or no batch would be left.
 */
export function checkBatches({ count, batch, dropLast }: EpochOptions): void {
  for (const [thing, size] of [["count", count], ["batch", batch]] as const) {
    if (!Number.isInteger(size) || size < 1) {
      throw new ShapeError({
        act: "cut batches",
        thing,
        current: `${size}`,
        wanted: "a whole number of at least 1",
      });
    }
  }
  if (dropLast && batch > count) {
    const wanted = `at most ${count}, the rows in the split, because a smaller last batch is skipped`;
    throw new ShapeError({ act: "cut batches", thing: "batch", current: `${batch}`, wanted });
  }
}
