/**
 * Brings removed weights back by the score test, the best of them if too many pass.
 *
 * @module
 */
import type { PruneBuffers } from "../prune_buffers.ts";
import { lowerRegrowth } from "./select.ts";
import type { ScoredLayer } from "./elements.ts";

/** Halvings of the range of scores, at most. Scores lie in [0, sqrt(examples)], so that 24 reach an f32's rounding. */
const maxHalvings = 24;

/**
 * Brings back the removed weights whose score lies above a threshold; if more than `max` do, those above a higher
 * threshold that at most `max` exceed, which bisection finds.
 *
 * @returns The number of weights that came back.
 */
export async function regrowRemoved(
  buffers: PruneBuffers,
  threshold: number,
  { layers, examples, max }: {
    readonly layers: readonly ScoredLayer[];
    /** Examples that the gradients are means of. */
    readonly examples: number;
    readonly max: number;
  },
): Promise<number> {
  const run = async (threshold: number, countsOnly: boolean) => {
    const counts = await buffers.countByLayer(lowerRegrowth(layers, { examples, threshold, countsOnly }));
    return counts.reduce((sum, count) => sum + count, 0);
  };
  // n gbar^2 / F is n / B at most over batches of B: no score exceeds the root of n.
  let low = threshold, high = Math.max(threshold, Math.sqrt(examples));
  if (max < Infinity && await run(low, true) > max) {
    for (let i = 0; i < maxHalvings; i++) {
      const middle = (low + high) / 2;
      if (await run(middle, true) > max) low = middle;
      else high = middle;
    }
    low = high;
  }
  return await run(low, false);
}
