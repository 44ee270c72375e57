/**
 * The loop: score on new data, remove, replace what is kept by training on, and again, until nothing changes or what was
 * asked for is reached.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { type PruneGoal, type PruneSchedule, removedAt, scheduledCost, scheduledSparsity } from "./goal.ts";
import type { LayerCount } from "./mask.ts";
import { type Amount, type Removal, removedOf } from "./recipe.ts";
import { TooManyError } from "./select/removal.ts";
import type { TemperatureChoice } from "./score/temperature.ts";

/** A network as the loop knows it. */
export interface PrunedState {
  /** What each layer keeps. */
  readonly layers: readonly LayerCount[];
  /** What the network costs, by the goal's kind; absent where the goal is no cost. */
  readonly cost?: number | undefined;
}

/** What the loop prunes: a network with all that its removals and its training take. */
export interface PruneTarget {
  /** What there is before the first removal. */
  start(): Promise<PrunedState>;
  /** Removes so much by the recipe, and says what is left. */
  remove(amount: Amount): Promise<Removal & PrunedState>;
  /** Trains what is kept; the round counts from 1. */
  finetune(round: number): Promise<void>;
  /** Accuracy in [0, 1] on examples that nothing else sees; nothing is decided by it. */
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
    if (!(error instanceof TooManyError) || !("sparsity" in goal || "cost" in goal)) throw error;
    const { current, wanted } = error.complaint;
    const thing = "cost" in goal ? `${goal.cost} ${Math.floor(goal.most)}` : `sparsity ${goal.sparsity}`;
    throw new ConfigError({ act: "prune to", thing, current: `${current}, in ${round}`, wanted });
  }
}

/** How far the loop is. */
export interface LoopProgress {
  /** The network's weights that may go, in all. */
  readonly prunable: number;
  /** The network before the first round, and now. */
  readonly first: PrunedState;
  readonly now: PrunedState;
  /** Rounds that are done, without those that were undone. */
  readonly done: number;
  /** The share of a round's step that is tried. */
  readonly part: number;
}

/** How much the next round removes. */
export function nextAmount(
  { goal, schedule = "gradual", rounds }: PruneLoopOptions,
  { prunable, first, now, done, part }: LoopProgress,
): Amount {
  const removed = removedOf(now.layers), round = done + 1;
  if ("pattern" in goal) return goal;
  if ("threshold" in goal) {
    return { ...goal, removed, most: Math.floor(mostOfSurvivors * (prunable - removed)), share: part };
  }
  if ("cost" in goal) {
    const next = scheduledCost({ schedule, from: first.cost!, to: goal.most }, round, rounds);
    return next < now.cost! ? { ...goal, most: now.cost! - part * (now.cost! - next) } : "nothing";
  }
  const all = removedAt(goal.sparsity, prunable);
  const way = { schedule, from: prunable - removedOf(first.layers), to: prunable - all };
  const next = schedule === "gradual"
    ? removedAt(scheduledSparsity(goal.sparsity, round, rounds), prunable)
    : prunable - Math.ceil(scheduledCost(way, round, rounds));
  return { weights: removed + Math.ceil(part * Math.max(0, next - removed)) };
}

/**
 * Prunes until what was asked for is reached; or, with a threshold, until two rounds in a row leave the network as it is
 * (a fixed point); or the rounds are used up. A round after which the accuracy on validation examples is too low is
 * undone, and half its step is tried; the loop ends where a quarter of a step is undone too.
 *
 * @throws {ConfigError} Where less may go than the goal asks for, naming the goal and the round.
 */
export async function pruneUntilStable(
  target: PruneTarget,
  options: PruneLoopOptions,
): Promise<PruneOutcome> {
  const { goal, rounds: mostRounds, allowedDrop } = options, rounds: PruneRound[] = [];
  const first = await target.start();
  const prunable = first.layers.reduce((sum, { weights }) => sum + weights, 0);
  let now: PrunedState = first, quietRounds = 0, part = 1, done = 0;
  const leastAccuracy = allowedDrop === undefined ? 0 : await target.validate() - allowedDrop;
  const outcome = (end: PruneOutcome["end"]) => {
    const { layers } = now;
    return { rounds, layers, removed: removedOf(layers), end };
  };
  for (let round = 1; done < mostRounds; round++) {
    const before = removedOf(now.layers), survivors = prunable - before;
    if (allowedDrop !== undefined) await target.save(round);
    const amount = nextAmount(options, { prunable, first, now, done, part });
    const { regrown: inflow, temperature, ...after } = await towards(
      goal,
      `round ${done + 1} of ${mostRounds}`,
      () => target.remove(amount),
    );
    const removed = removedOf(after.layers), outflow = removed + inflow - before;
    const accuracyPruned = await target.evaluate();
    await target.finetune(round);
    const accuracyFinetuned = await target.evaluate();
    const accuracyValidation = allowedDrop === undefined ? undefined : await target.validate();
    const isUndone = accuracyValidation !== undefined && accuracyValidation < leastAccuracy;
    rounds.push({
      round,
      removed,
      sparsity: removed / prunable,
      outflow,
      inflow,
      accuracyPruned,
      accuracyFinetuned,
      ...(accuracyValidation === undefined ? {} : { accuracyValidation }),
      ...(temperature ? { posteriorTemperature: temperature } : {}),
      isUndone,
    });
    if (isUndone) {
      await target.undo();
      part /= 2;
      // A pattern has no half; a step of nothing failed by its training.
      if (part < leastStep || "pattern" in goal || outflow + inflow === 0) return outcome("allowed drop");
      continue;
    }
    now = after;
    done++;
    quietRounds = Math.max(outflow, inflow) < stableFraction * survivors ? quietRounds + 1 : 0;
    if ("threshold" in goal && quietRounds === 2) return outcome("fixed point");
  }
  if ("threshold" in goal) return outcome("rounds");
  // Once a step was halved, the rounds may not have led all the way.
  if (part < 1 && !isReached(goal, now, prunable)) return outcome("allowed drop");
  return outcome("sparsity" in goal ? "asked sparsity" : "cost" in goal ? "asked size" : "asked pattern");
}

function isReached(
  goal: Exclude<PruneGoal, { readonly threshold: number }>,
  { layers, cost }: PrunedState,
  prunable: number,
): boolean {
  if ("pattern" in goal) return true;
  return "cost" in goal ? cost! <= goal.most : removedOf(layers) >= removedAt(goal.sparsity, prunable);
}
