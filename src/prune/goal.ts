/**
 * The goal of pruning, and the part of it in each round of a schedule.
 *
 * @module
 */
import { anyCount, checkNumbers } from "../checks.ts";
import type { CostKind } from "./cost.ts";
import type { Pattern } from "./select/removal.ts";

/**
 * The goal of pruning: a fraction of the weights to remove; a maximum cost of the network; a minimum signal to noise
 * z for weights that stay, and a higher one for weights that come back; or a pattern of single weights.
 */
export type PruneGoal =
  | { readonly sparsity: number }
  | {
    readonly cost: CostKind;
    readonly max: number;
    /** True if bytes count a bit per weight instead of the removed weights. Default: false. */
    readonly isSparse?: boolean;
  }
  | { readonly threshold: number; readonly regrowAbove?: number | undefined }
  | { readonly pattern: Pattern };

/**
 * How rounds share the way to a sparsity or a cost: all at once, the same fraction of the weights left in each round,
 * or large steps first and small steps at the end.
 */
export type PruneSchedule = "one-shot" | "iterative" | "gradual";

/**
 * Sparsity after a round of so many: large steps first, small steps at the end (Zhu and Gupta 2017, arXiv
 * 1710.01878).
 */
export function scheduledSparsity(goal: number, round: number, rounds: number): number {
  return round >= rounds ? goal : goal * (1 - (1 - round / rounds) ** 3);
}

/** The value after a round, counted from 1, of a number that falls from one value to another. */
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
 * The number of weights that a sparsity removes: its share, rounded down.
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
