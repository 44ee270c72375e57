/**
 * The loop: score on new data, remove, fine-tune, and repeat until nothing changes or the goal is reached.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { type PruneGoal, type PruneSchedule, removedAt, scheduledCost, scheduledSparsity } from "./goal.ts";
import type { LayerCount } from "./mask.ts";
import { type Amount, countRemovedWeights, type Removal } from "./recipe.ts";
import { TooManyError } from "./select/removal.ts";
import type { TemperatureChoice } from "./score/temperature.ts";

/** A network as the loop sees it. */
export interface PrunedState {
  /** What each layer keeps. */
  readonly layers: readonly LayerCount[];
  /** The network's cost, of the goal's kind; absent if the goal is not a cost. */
  readonly cost?: number | undefined;
}

/** The network that the loop prunes, with everything that removals and training need. */
export interface PruneTarget {
  /** Returns the state before the first removal. */
  start(): Promise<PrunedState>;
  /**
   * Removes an amount by the recipe, and returns what is left. A removal is not final if another one follows, and nothing is
   * decided by the network between them.
   */
  remove(amount: Amount, isFinal: boolean): Promise<Removal & PrunedState>;
  /** Fine-tunes. The round counts from 1. */
  finetune(round: number): Promise<void>;
  /** Accuracy in [0, 1] on test examples. It decides nothing. */
  evaluate(): Promise<number>;
  /** Measures the network on validation examples. It is called only if they undo or choose rounds. */
  validate(): Promise<Validation>;
  /** Keeps the network after a round (0: before the first). It is called only if rounds are undone or chosen. */
  save(round: number): Promise<void>;
  /** Restores the network after a saved round. */
  restore(round: number): Promise<void>;
  /** Forgets a saved round. */
  forget(round: number): void;
}

/** The result on validation examples. */
export interface Validation {
  /** Fraction predicted right, in [0, 1]. */
  readonly accuracy: number;
  /** The standard error of the accuracy. */
  readonly accuracyError: number;
  /** Mean cross-entropy in nats. */
  readonly loss: number;
  /** The standard error of that mean. */
  readonly lossError: number;
}

/** One round of the loop. */
export interface PruneRound {
  /** The round, from 1, counting undone rounds too. */
  readonly round: number;
  /** Removed weights after this round. */
  readonly removed: number;
  /** The same as a fraction of the prunable weights. */
  readonly sparsity: number;
  /** Kept weights that this round removed. */
  readonly outflow: number;
  /** Removed weights that it brought back. */
  readonly inflow: number;
  /** With a threshold: the kept weights that lay below it before the removal. */
  readonly below?: number;
  /** With a threshold: the kept weights that did not lie below it before the removal. */
  readonly above?: number;
  /** Accuracy in [0, 1] after the removal. */
  readonly accuracyPruned: number;
  /** Accuracy in [0, 1] after fine-tuning. */
  readonly accuracyFinetuned: number;
  /** Accuracy in [0, 1] on validation examples at the end of the round, if they undo or choose rounds. */
  readonly accuracyValidation?: number;
  /** Mean cross-entropy on validation examples at the end of the round, in nats, if they undo or choose rounds. */
  readonly lossValidation?: number;
  /** The standard error of that mean. */
  readonly lossErrorValidation?: number;
  /** The chosen temperature of the removal, if one was chosen. */
  readonly posteriorTemperature?: TemperatureChoice;
  /** True if the accuracy on validation examples dropped too far, and the network was restored. */
  readonly isUndone: boolean;
}

/** The result of the loop. */
export interface PruneOutcome {
  /** Every round, in order. */
  readonly rounds: readonly PruneRound[];
  /** What each layer kept at the end. */
  readonly layers: readonly LayerCount[];
  /** Removed weights at the end. */
  readonly removed: number;
  /** The reason why it ended. */
  readonly end:
    | "asked sparsity"
    | "asked size"
    | "asked pattern"
    | "fixed point"
    | "validation"
    | "rounds"
    | "allowed drop";
  /** The round whose network is kept, if validation examples chose it; 0 for the network before the first round. */
  readonly chosenRound?: number;
}

/** Options of the loop. */
export interface PruneLoopOptions {
  readonly goal: PruneGoal;
  /** How rounds share the way to a sparsity or a cost. Default: `gradual`. */
  readonly schedule?: PruneSchedule;
  /** Maximum number of rounds, not counting undone ones. Infinity, with a threshold, for as many as it takes. */
  readonly rounds: number;
  /** The largest drop of the accuracy on validation examples from that before the loop. Default: no limit. */
  readonly allowedDrop?: number | undefined;
  /**
   * With a threshold: true keeps the sparsest network of all rounds whose validation loss lies within one standard
   * error of the lowest. Default: false, which keeps the last network.
   */
  readonly choosesRound?: boolean | undefined;
  /** Called after each round. */
  readonly onRound?: ((round: PruneRound) => void) | undefined;
}

/** Maximum share of the weights left that one round removes, with a threshold. */
const maxOfSurvivors = 0.2;

/** A round that removes and regrows less than this fraction of the weights left counts as no change. */
export const stableFraction = 1e-3;

/**
 * If validation chooses the round, the loop ends after so many rounds in a row whose loss lies too far above the lowest
 * and whose accuracy lies too far below the highest. The loss alone rises while a network that is still large overfits,
 * and falls again when it is smaller.
 */
const badRounds = 3;

/** The smallest part of a step that is tried. An undone step is halved, and so are all later ones. */
const minStep = 1 / 4;

/**
 * Runs a removal on the way to a goal.
 *
 * @throws {ConfigError} If so much may not go, naming the goal and not where the round was to lead.
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
    const { current, wanted } = error.details;
    const thing = "cost" in goal ? `${goal.cost} ${Math.floor(goal.max)}` : `sparsity ${goal.sparsity}`;
    throw new ConfigError({ act: "prune to", thing, current: `${current}, in ${round}`, wanted });
  }
}

/** The progress of the loop. */
export interface LoopProgress {
  /** The network's prunable weights. */
  readonly prunable: number;
  /** The network before the first round, and now. */
  readonly first: PrunedState;
  readonly now: PrunedState;
  /** Completed rounds, without undone ones. */
  readonly done: number;
  /** The share of a round's step that is tried. */
  readonly part: number;
}

/** The amount of the next round. */
export function nextAmount(
  { goal, schedule = "gradual", rounds }: PruneLoopOptions,
  { prunable, first, now, done, part }: LoopProgress,
): Amount {
  const removed = countRemovedWeights(now.layers), round = done + 1;
  if ("pattern" in goal) return goal;
  if ("threshold" in goal) {
    return {
      ...goal,
      removed,
      max: Math.max(1, Math.floor(maxOfSurvivors * (prunable - removed))),
      share: part,
    };
  }
  if ("cost" in goal) {
    const next = scheduledCost({ schedule, from: first.cost!, to: goal.max }, round, rounds);
    return next < now.cost! ? { ...goal, max: now.cost! - part * (now.cost! - next) } : "nothing";
  }
  const all = removedAt(goal.sparsity, prunable);
  const way = { schedule, from: prunable - countRemovedWeights(first.layers), to: prunable - all };
  const next = schedule === "gradual"
    ? removedAt(scheduledSparsity(goal.sparsity, round, rounds), prunable)
    : prunable - Math.ceil(scheduledCost(way, round, rounds));
  return { weights: removed + Math.ceil(part * Math.max(0, next - removed)) };
}

/** The networks of a loop among which validation chooses. */
class Candidates {
  readonly #target: PruneTarget;
  /** Those that may still be chosen: of any two, the sparser one has the higher loss. */
  #front: { readonly round: number; readonly loss: number; readonly state: PrunedState }[] = [];
  #lowest = { loss: Infinity, lossError: 0 };
  #highest = { accuracy: -Infinity, accuracyError: 0 };
  #bad = 0;

  constructor(target: PruneTarget) {
    this.#target = target;
  }

  /** Adds the network after a round. */
  async add(round: number, state: PrunedState, validation: Validation): Promise<void> {
    const { loss, lossError, accuracy, accuracyError } = validation;
    if (loss < this.#lowest.loss) this.#lowest = { loss, lossError };
    if (accuracy > this.#highest.accuracy) this.#highest = { accuracy, accuracyError };
    const isGood = loss <= this.#limit;
    const isAccurate = accuracy >= this.#highest.accuracy - this.#highest.accuracyError;
    this.#bad = isGood || isAccurate ? 0 : this.#bad + 1;
    const own = { round, loss, state };
    const isSparser = (one: PrunedState, other: PrunedState) =>
      countRemovedWeights(one.layers) > countRemovedWeights(other.layers);
    // A network that is no sparser and no better will not be chosen, whatever the lowest loss becomes.
    const isNeeded = isGood &&
      !this.#front.some((other) => other.loss <= loss && !isSparser(state, other.state));
    const left = this.#front.filter((other) =>
      other.loss <= this.#limit && (!isNeeded || other.loss < loss || isSparser(other.state, state))
    );
    for (const { round } of this.#front.filter((other) => !left.includes(other))) this.#target.forget(round);
    this.#front = left;
    if (!isNeeded) return;
    await this.#target.save(round);
    this.#front.push(own);
  }

  /** The highest loss within one standard error of the lowest. */
  get #limit(): number {
    return this.#lowest.loss + this.#lowest.lossError;
  }

  /** True if further rounds only get worse. */
  get areLeftBehind(): boolean {
    return this.#bad >= badRounds;
  }

  /** The sparsest network that is good enough. */
  get chosen(): { readonly round: number; readonly state: PrunedState } {
    return this.#front.reduce((best, next) =>
      countRemovedWeights(next.state.layers) > countRemovedWeights(best.state.layers) ? next : best
    );
  }
}

/**
 * Prunes until the goal is reached; or, with a threshold, until two rounds in a row leave the network as it is (a
 * fixed point); or until the rounds are used up. If the accuracy on validation examples is too low after a round, the
 * round is undone and half its step is tried. The loop ends if a quarter of a step is undone too. If validation
 * examples choose the round, it also ends when three rounds in a row are too far from the best in loss and accuracy,
 * and the chosen network is restored.
 *
 * @throws {ConfigError} If less may go than the goal asks for, naming the goal and the round.
 */
export async function pruneUntilStable(
  target: PruneTarget,
  options: PruneLoopOptions,
): Promise<PruneOutcome> {
  const { goal, rounds: maxRounds, allowedDrop, choosesRound = false } = options, rounds: PruneRound[] = [];
  const first = await target.start();
  const prunable = first.layers.reduce((sum, { weights }) => sum + weights, 0);
  const isValidated = allowedDrop !== undefined || choosesRound;
  const candidates = choosesRound ? new Candidates(target) : undefined;
  let now: PrunedState = first, quietRounds = 0, part = 1, done = 0;
  const atStart = isValidated ? await target.validate() : undefined;
  const minAccuracy = allowedDrop === undefined ? 0 : atStart!.accuracy - allowedDrop;
  await candidates?.add(0, first, atStart!);
  const finish = async (end: PruneOutcome["end"]): Promise<PruneOutcome> => {
    if (!candidates) return { rounds, layers: now.layers, removed: countRemovedWeights(now.layers), end };
    const { round, state: { layers } } = candidates.chosen;
    if (round !== rounds.at(-1)?.round) await target.restore(round);
    return { rounds, layers, removed: countRemovedWeights(layers), end, chosenRound: round };
  };
  for (let round = 1; done < maxRounds; round++) {
    const before = countRemovedWeights(now.layers), survivors = prunable - before;
    if (allowedDrop !== undefined) await target.save(round - 1);
    const amount = nextAmount(options, { prunable, first, now, done, part });
    const isFinal = isValidated || "threshold" in goal || done + 1 === maxRounds;
    const { regrown: inflow, temperature, below, ...after } = await towards(
      goal,
      maxRounds === Infinity ? `round ${done + 1}` : `round ${done + 1} of ${maxRounds}`,
      () => target.remove(amount, isFinal),
    );
    const removed = countRemovedWeights(after.layers), outflow = removed + inflow - before;
    const accuracyPruned = await target.evaluate();
    await target.finetune(round);
    const accuracyFinetuned = await target.evaluate();
    const validation = isValidated ? await target.validate() : undefined;
    const isUndone = allowedDrop !== undefined && validation!.accuracy < minAccuracy;
    rounds.push({
      round,
      removed,
      sparsity: removed / prunable,
      outflow,
      inflow,
      ...(below === undefined ? {} : { below, above: survivors - below }),
      accuracyPruned,
      accuracyFinetuned,
      ...(validation
        ? {
          accuracyValidation: validation.accuracy,
          lossValidation: validation.loss,
          lossErrorValidation: validation.lossError,
        }
        : {}),
      ...(temperature ? { posteriorTemperature: temperature } : {}),
      isUndone,
    });
    options.onRound?.(rounds.at(-1)!);
    if (isUndone) {
      await target.restore(round - 1);
      part /= 2;
      // A pattern cannot be halved; an empty step failed by its training.
      if (part < minStep || "pattern" in goal || outflow + inflow === 0) {
        return await finish("allowed drop");
      }
      continue;
    }
    if (allowedDrop !== undefined) target.forget(round - 1);
    now = after;
    done++;
    await candidates?.add(round, now, validation!);
    const moved = Math.max(outflow, inflow);
    // Of no weights left, none can move.
    quietRounds = moved === 0 || moved < stableFraction * survivors ? quietRounds + 1 : 0;
    if ("threshold" in goal && quietRounds === 2) return await finish("fixed point");
    if (candidates?.areLeftBehind) return await finish("validation");
  }
  if ("threshold" in goal) return await finish("rounds");
  // After a halved step, the rounds may not have reached the goal.
  if (part < 1 && !isReached(goal, now, prunable)) return await finish("allowed drop");
  return await finish(
    "sparsity" in goal ? "asked sparsity" : "cost" in goal ? "asked size" : "asked pattern",
  );
}

function isReached(
  goal: Exclude<PruneGoal, { readonly threshold: number }>,
  { layers, cost }: PrunedState,
  prunable: number,
): boolean {
  if ("pattern" in goal) return true;
  return "cost" in goal
    ? cost! <= goal.max
    : countRemovedWeights(layers) >= removedAt(goal.sparsity, prunable);
}
