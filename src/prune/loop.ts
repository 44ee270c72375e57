/**
 * The loop: score on new data, remove, replace what is kept by training on, and again, until nothing changes or the
 * asked sparsity is reached.
 *
 * @module
 */
import type { LayerCount } from "./mask.ts";

/** What to prune to: a fraction of the weights to remove, or the least signal to noise of a weight that stays. */
export type PruneGoal = { readonly sparsity: number } | { readonly threshold: number };

/** What the loop asks of the network that it prunes. */
export interface PruneSteps {
  /** Scores all weights anew at the network's values. */
  score(): Promise<void>;
  /** Counts the kept weights whose score is below a threshold. */
  countBelow(threshold: number): Promise<number>;
  /** Removes weights until so many of all are removed, and counts what is kept. */
  remove(removed: number): Promise<readonly LayerCount[]>;
  /** Trains what is kept; the round counts from 1. */
  finetune(round: number): Promise<void>;
  /** Accuracy in [0, 1] on examples that no other step sees; nothing is decided by it. */
  evaluate(): Promise<number>;
}

/** One round of the loop. */
export interface PruneRound {
  /** Counts from 1. */
  readonly round: number;
  /** Weights removed after this round, in all. */
  readonly removed: number;
  /** The same as a fraction of the prunable weights. */
  readonly sparsity: number;
  /** Accuracy after the removal and after the training that follows it. */
  readonly accuracyPruned: number;
  /** Accuracy in [0, 1] after the training that follows the removal. */
  readonly accuracyFinetuned: number;
}

/** What the loop came to. */
export interface PruneOutcome {
  /** Every round, in order. */
  readonly rounds: readonly PruneRound[];
  /** What each layer kept at the end. */
  readonly layers: readonly LayerCount[];
  /** Weights removed at the end, in all. */
  readonly removed: number;
  /** Why it ended. */
  readonly end: "asked sparsity" | "fixed point" | "rounds";
}

/** The most of the weights that are left that one round removes, where a threshold decides. */
const mostOfSurvivors = 0.2;

/** A round that removes less than this fraction of the weights left changes nothing worth the name. */
const stableFraction = 1e-3;

/** Sparsity after a round of so many: steep at first, flat at the end (Zhu and Gupta 2017, arXiv 1710.01878). */
export function scheduledSparsity(goal: number, round: number, rounds: number): number {
  return round >= rounds ? goal : goal * (1 - (1 - round / rounds) ** 3);
}

/** How many weights a sparsity removes: its share of them, rounded down. */
export function removedAt(sparsity: number, prunable: number): number {
  // The small term absorbs products such as 0.29 * 100 = 28.999999999999996.
  return Math.floor(sparsity * prunable + 1e-6);
}

/**
 * Prunes until the asked sparsity is reached, or until two rounds in a row leave the network as it is (a fixed
 * point), or the rounds are used up.
 */
export async function pruneUntilStable(
  steps: PruneSteps,
  { goal, prunable, rounds: mostRounds, removed: removedBefore = 0 }: {
    readonly goal: PruneGoal;
    readonly prunable: number;
    readonly rounds: number;
    /** Weights that are removed already. */
    readonly removed?: number;
  },
): Promise<PruneOutcome> {
  const rounds: PruneRound[] = [];
  let removed = removedBefore, quietRounds = 0, layers: readonly LayerCount[] = [];
  for (let round = 1; round <= mostRounds; round++) {
    await steps.score();
    const before = removed;
    if ("sparsity" in goal) {
      removed = Math.max(removed, removedAt(scheduledSparsity(goal.sparsity, round, mostRounds), prunable));
    } else {
      const most = Math.floor(mostOfSurvivors * (prunable - removed));
      removed += Math.min(most, await steps.countBelow(goal.threshold));
    }
    layers = await steps.remove(removed);
    const accuracyPruned = await steps.evaluate();
    await steps.finetune(round);
    const accuracyFinetuned = await steps.evaluate();
    rounds.push({ round, removed, sparsity: removed / prunable, accuracyPruned, accuracyFinetuned });
    quietRounds = removed - before < stableFraction * (prunable - before) ? quietRounds + 1 : 0;
    if ("threshold" in goal && quietRounds === 2) return { rounds, layers, removed, end: "fixed point" };
  }
  return { rounds, layers, removed, end: "sparsity" in goal ? "asked sparsity" : "rounds" };
}
