/**
 * The loop: score on new data, remove, replace what is kept by training on, and again, until nothing changes or what was
 * asked for is reached.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import {
  type CostKind,
  type PruneGoal,
  type PruneSchedule,
  removedAt,
  scheduledCost,
  scheduledSparsity,
} from "./goal.ts";
import type { LayerCount } from "./mask.ts";
import type { Pattern } from "./removal.ts";
import type { TemperatureChoice } from "./temperature.ts";

/** What the loop asks of the network that it prunes. */
export interface PruneSteps {
  /** Counts what each layer keeps. */
  count(): Promise<readonly LayerCount[]>;
  /** Scores all weights anew at the network's values. */
  score(): Promise<void>;
  /** Counts the kept weights whose score is below a threshold. */
  countBelow(threshold: number): Promise<number>;
  /** Removes weights until so many of all are removed, and counts what is kept. */
  remove(removed: number): Promise<readonly LayerCount[]>;
  /** What the network costs now. */
  cost(kind: CostKind): Promise<number>;
  /** Removes as few weights as bring the cost down to so much at most, and counts what is kept. */
  reach(kind: CostKind, most: number): Promise<readonly LayerCount[]>;
  /** Removes what a pattern removes, and counts what is kept. */
  removePattern(pattern: Pattern): Promise<readonly LayerCount[]>;
  /** The temperature that was chosen for a removal since the last scoring, where there was one to choose. */
  chosenTemperature?(): TemperatureChoice | undefined;
  /** Brings back the removed weights whose score test exceeds a threshold, and counts them. */
  regrow(threshold: number): Promise<number>;
  /** Prepares the network for what the removal left, such as batch norm's statistics, and counts what is kept. */
  settle(): Promise<readonly LayerCount[]>;
  /** Trains what is kept; the round counts from 1. */
  finetune(round: number): Promise<void>;
  /** Accuracy in [0, 1] on examples that no other step sees; nothing is decided by it. */
  evaluate(): Promise<number>;
  /** Accuracy in [0, 1] on validation examples, by which a round is undone; asked for only with an allowed drop. */
  validate(): Promise<number>;
  /** Keeps the network as it is before a round, for `undo`; asked for only with an allowed drop. */
  save(round: number): Promise<void>;
  /** Puts the network back to where the last `save` was. */
  undo(): Promise<void>;
}

/** One round of the loop. */
export interface PruneRound {
  /** Counts from 1, those that were undone among them. */
  readonly round: number;
  /** Weights removed after this round, in all. */
  readonly removed: number;
  /** The same as a fraction of the prunable weights. */
  readonly sparsity: number;
  /** Kept weights that this round removed. */
  readonly outflow: number;
  /** Removed weights that it brought back. */
  readonly inflow: number;
  /** Accuracy after the removal and after the training that follows it. */
  readonly accuracyPruned: number;
  /** Accuracy in [0, 1] after the training that follows the removal. */
  readonly accuracyFinetuned: number;
  /** Accuracy in [0, 1] on validation examples at the end of the round, where an allowed drop asks for it. */
  readonly accuracyValidation?: number;
  /** The temperature of the posterior that was chosen for the removal, where one was. */
  readonly posteriorTemperature?: TemperatureChoice;
  /** True where the accuracy on validation examples dropped too far, and the network was put back. */
  readonly isUndone: boolean;
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
  readonly end: "asked sparsity" | "asked size" | "asked pattern" | "fixed point" | "rounds" | "allowed drop";
}

/** What the loop is told. */
export interface PruneLoopOptions {
  readonly goal: PruneGoal;
  /** How rounds share the way to a sparsity or a cost; `gradual` where left out. */
  readonly schedule?: PruneSchedule;
  /** The most rounds, those that are undone not among them. */
  readonly rounds: number;
  /** The most that the accuracy on validation examples may lie below where it was before the loop; any where left out. */
  readonly allowedDrop?: number | undefined;
}

/** The most of the weights that are left that one round removes, where a threshold decides. */
const mostOfSurvivors = 0.2;

/** A round that moves less than this fraction of the weights left, either way, changes nothing worth the name. */
const stableFraction = 1e-3;

/** The smallest part of a step that is tried: a step that is undone is halved, and so are all later ones. */
const leastStep = 1 / 4;

const removedOf = (layers: readonly LayerCount[]) =>
  layers.reduce((sum, { weights, kept }) => sum + weights - kept, 0);

/**
 * Does a removal on the way to a goal.
 *
 * @throws {ConfigError} Where so much may not go, naming the goal and not where the round was to lead.
 */
async function towards<Result>(
  goal: PruneGoal,
  round: string,
  remove: () => Promise<Result>,
): Promise<Result> {
  try {
    return await remove();
  } catch (error) {
    if (!(error instanceof ConfigError) || !("sparsity" in goal || "cost" in goal)) throw error;
    const { current, wanted } = error.complaint;
    const thing = "cost" in goal ? `${goal.cost} ${Math.floor(goal.most)}` : `sparsity ${goal.sparsity}`;
    throw new ConfigError({ act: "prune to", thing, current: `${current}, in ${round}`, wanted });
  }
}

/**
 * Prunes until what was asked for is reached; or, with a threshold, until two rounds in a row leave the network as it is
 * (a fixed point); or the rounds are used up. A round after which the accuracy on validation examples is too low is
 * undone, and half its step is tried; the loop ends where a quarter of a step is undone too.
 *
 * @throws {ConfigError} Where less may go than the goal asks for, naming the goal and the round.
 */
export async function pruneUntilStable(
  steps: PruneSteps,
  { goal, schedule = "gradual", rounds: mostRounds, allowedDrop }: PruneLoopOptions,
): Promise<PruneOutcome> {
  const rounds: PruneRound[] = [];
  let layers = await steps.count(), quietRounds = 0, part = 1, done = 0;
  const prunable = layers.reduce((sum, { weights }) => sum + weights, 0), removedBefore = removedOf(layers);
  const costBefore = "cost" in goal ? await steps.cost(goal.cost) : 0;
  const leastAccuracy = allowedDrop === undefined ? 0 : await steps.validate() - allowedDrop;
  const shrink = async (removed: number): Promise<readonly LayerCount[]> => {
    if ("pattern" in goal) return await steps.removePattern(goal.pattern);
    if ("cost" in goal) {
      const now = await steps.cost(goal.cost), way = { schedule, from: costBefore, to: goal.most };
      const next = scheduledCost(way, done + 1, mostRounds);
      return next < now ? await steps.reach(goal.cost, now - part * (now - next)) : await steps.count();
    }
    if ("threshold" in goal) {
      const most = Math.floor(mostOfSurvivors * (prunable - removed));
      const below = Math.min(most, await steps.countBelow(goal.threshold));
      return await steps.remove(removed + Math.ceil(part * below));
    }
    const all = removedAt(goal.sparsity, prunable);
    const way = { schedule, from: prunable - removedBefore, to: prunable - all };
    const next = schedule === "gradual"
      ? removedAt(scheduledSparsity(goal.sparsity, done + 1, mostRounds), prunable)
      : prunable - Math.ceil(scheduledCost(way, done + 1, mostRounds));
    return await steps.remove(removed + Math.ceil(part * Math.max(0, next - removed)));
  };
  const outcome = (end: PruneOutcome["end"]) => ({ rounds, layers, removed: removedOf(layers), end });
  for (let round = 1; done < mostRounds; round++) {
    const before = removedOf(layers), survivors = prunable - before;
    if (allowedDrop !== undefined) await steps.save(round);
    await steps.score();
    const outflow = removedOf(
      await towards(goal, `round ${done + 1} of ${mostRounds}`, () => shrink(before)),
    ) -
      before;
    const posteriorTemperature = steps.chosenTemperature?.();
    const grows = "threshold" in goal && goal.regrowAbove !== undefined;
    const inflow = grows ? await steps.regrow(goal.regrowAbove!) : 0;
    const after = await steps.settle();
    const accuracyPruned = await steps.evaluate();
    await steps.finetune(round);
    const accuracyFinetuned = await steps.evaluate();
    const accuracyValidation = allowedDrop === undefined ? undefined : await steps.validate();
    const isUndone = accuracyValidation !== undefined && accuracyValidation < leastAccuracy;
    const removed = removedOf(after);
    rounds.push({
      round,
      removed,
      sparsity: removed / prunable,
      outflow,
      inflow,
      accuracyPruned,
      accuracyFinetuned,
      ...(accuracyValidation === undefined ? {} : { accuracyValidation }),
      ...(posteriorTemperature ? { posteriorTemperature } : {}),
      isUndone,
    });
    if (isUndone) {
      await steps.undo();
      part /= 2;
      // A pattern has no half; a step of nothing failed by its training.
      if (part < leastStep || "pattern" in goal || outflow + inflow === 0) return outcome("allowed drop");
      continue;
    }
    layers = after;
    done++;
    quietRounds = Math.max(outflow, inflow) < stableFraction * survivors ? quietRounds + 1 : 0;
    if ("threshold" in goal && quietRounds === 2) return outcome("fixed point");
  }
  if ("threshold" in goal) return outcome("rounds");
  // Once a step was halved, the rounds may not have led all the way.
  if (part < 1 && !await isReached(goal, steps, { prunable, removed: removedOf(layers) })) {
    return outcome("allowed drop");
  }
  return outcome("sparsity" in goal ? "asked sparsity" : "cost" in goal ? "asked size" : "asked pattern");
}

async function isReached(
  goal: Exclude<PruneGoal, { readonly threshold: number }>,
  steps: PruneSteps,
  { prunable, removed }: { readonly prunable: number; readonly removed: number },
): Promise<boolean> {
  if ("pattern" in goal) return true;
  if ("cost" in goal) return await steps.cost(goal.cost) <= goal.most;
  return removed >= removedAt(goal.sparsity, prunable);
}
