/**
 * What to prune to, and how far each round of a schedule goes.
 *
 * @module
 */
import { anyCount, checkNumbers } from "../checks.ts";
import type { CostKind } from "./cost.ts";
import type { Pattern } from "./select/removal.ts";

/**
 * What to prune to: a fraction of the weights to remove; the most that the network may cost; the least signal to noise z
 * of a weight that stays, and above it that of one that comes back; or a pattern of single weights.
 */
export type PruneGoal =
  | { readonly sparsity: number }
  | {
    readonly cost: CostKind;
    readonly most: number;
    /** Whether bytes count no removed weights, but a bit per weight. Default: false. */
    readonly isSparse?: boolean;
  }
  | { readonly threshold: number; readonly regrowAbove?: number | undefined }
  | { readonly pattern: Pattern };

/**
 * How rounds share the way to a sparsity or a cost: all at once, the same fraction of what is left in each, or steep at
 * first and flat at the end.
 */
export type PruneSchedule = "one-shot" | "iterative" | "gradual";

/** Sparsity after a round of so many: steep at first, flat at the end (Zhu and Gupta 2017, arXiv 1710.01878). */
export function scheduledSparsity(goal: number, round: number, rounds: number): number {
  return round >= rounds ? goal : goal * (1 - (1 - round / rounds) ** 3);
}

/** Where a number that falls from one value to another is after a round, counted from 1. */
export function scheduledCost(
  { schedule, from, to }: { readonly schedule: PruneSchedule; readonly from: number; readonly to: number },
  round: number,
  rounds: number,
): number {
  if (round >= rounds || from <= to || schedule === "one-shot") return to;
  if (schedule === "gradual") return from - (from - to) * scheduledSparsity(1, round, rounds);
  return from * (to / from) ** (round / rounds);
}

/**
 * How many weights a sparsity removes: its share of them, rounded down.
 *
 * @throws {ConfigError} If the sparsity is no fraction from 0 to 1.
 */
export function removedAt(sparsity: number, prunable: number): number {
  checkNumbers("remove weights by", {
    sparsity: [sparsity, { atLeast: 0, atMost: 1 }],
    prunable: [prunable, anyCount],
  });
  // The small term absorbs products such as 0.29 * 100 = 28.999999999999996.
  return Math.floor(sparsity * prunable + 1e-6);
}
