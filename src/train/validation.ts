/**
 * Early stopping: evaluates each epoch on validation examples, keeps the values of the best, and decides when to stop.
 *
 * @module
 */
import type { Examples } from "../gpu/examples.ts";
import type { Network } from "../gpu/network.ts";
import { type EvaluatorTools, openEvaluator } from "./evaluate.ts";
import type { BestEpoch, EarlyStopping, EpochValidation } from "./phase.ts";

/** Evaluates the epochs of a phase of training. */
export interface EpochWatcher extends Disposable {
  /** The best epoch so far. */
  readonly best: BestEpoch | undefined;
  /** Evaluates the network's values after an epoch, and keeps them if they are the best so far. */
  evaluate(epoch: number): Promise<{ readonly validation: EpochValidation; readonly stops: boolean }>;
}

/** Opens a watcher for a network. It keeps the best epoch's values and statistics in the slot `best`. */
export async function openEpochWatcher(
  network: Network,
  validation: Examples,
  { patience, measure, best: first, ...tools }: EarlyStopping & EvaluatorTools & {
    /** The best epoch of before, whose values lie in that slot already. */
    readonly best?: BestEpoch | undefined;
  },
): Promise<EpochWatcher> {
  const evaluator = await openEvaluator(network, validation, tools);
  let best = first;
  return {
    get best() {
      return best;
    },
    async evaluate(epoch) {
      const { accuracy, loss } = await evaluator.evaluate();
      const isBetter = best === undefined ||
        (measure === "accuracy" ? accuracy > best.accuracy : loss < best.loss);
      if (isBetter) {
        best = { epoch, accuracy, loss };
        network.copyState("values", "best");
      }
      return { validation: { accuracy, loss }, stops: patience > 0 && epoch - best!.epoch >= patience };
    },
    [Symbol.dispose]: () => evaluator[Symbol.dispose](),
  };
}
