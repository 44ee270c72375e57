/**
 * What to prune to, what a pruned network costs, and how far each round of a schedule goes.
 *
 * @module
 */
import { anyCount, checkNumbers } from "../checks.ts";
import type { Graph } from "../model/graph.ts";
import { type ModelSummary, summarizeModel } from "../model/summary.ts";
import { type CompactOptions, planCompaction } from "./compact/compact.ts";
import type { LayerCount } from "./mask.ts";
import type { Pattern } from "./select/removal.ts";

/** What a network costs: its trained numbers, its multiply-adds for one image, the bytes of its stored numbers. */
export type CostKind = "parameters" | "multiplyAdds" | "bytes";

/** A network's cost, each kind of it. Removed weights cost nothing but the bits that say so. */
export type Cost = Readonly<Record<CostKind, number>>;

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
 * @throws {ConfigError} Where the sparsity is no fraction from 0 to 1.
 */
export function removedAt(sparsity: number, prunable: number): number {
  checkNumbers("remove weights by", {
    sparsity: [sparsity, { atLeast: 0, atMost: 1 }],
    prunable: [prunable, anyCount],
  });
  // The small term absorbs products such as 0.29 * 100 = 28.999999999999996.
  return Math.floor(sparsity * prunable + 1e-6);
}

/** How a file holds weights, for their bytes. */
export interface CostOptions {
  /** Whether removed weights are left out, for a bit a weight; no where left out. */
  readonly isSparse?: boolean;
}

/** The cost of a network of which so many weights are kept, its layers as wide as before. */
export function costOf(graph: Graph, layers: readonly LayerCount[], { isSparse }: CostOptions = {}): Cost {
  const summary = summarizeModel(graph), kept = new Map(layers.map((layer) => [layer.name, layer]));
  let { parameters, multiplyAdds } = summary, bytes = 4 * (parameters + summary.statistics);
  for (const layer of summary.layers) {
    const count = kept.get(`${layer.name}.weight`);
    if (!count || count.weights === 0) continue;
    const removed = count.weights - count.kept;
    parameters -= removed;
    multiplyAdds -= layer.multiplyAdds * removed / count.weights;
    if (isSparse) bytes -= Math.max(0, 4 * removed - Math.ceil(count.weights / 8));
  }
  return { parameters, multiplyAdds, bytes };
}

/** The cost of the smaller network that a mask over all trained parameters leaves, as compaction makes it. */
export function compactCostOf(graph: Graph, mask: Float32Array, options: CompactOptions = {}): Cost {
  return denseCostOf(summarizeModel(planCompaction(graph, mask, options).graph));
}

/** The cost of a whole network. */
export function denseCostOf({ parameters, multiplyAdds, statistics }: ModelSummary): Cost {
  return { parameters, multiplyAdds, bytes: 4 * (parameters + statistics) };
}
