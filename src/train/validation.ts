/**
 * Watches training by examples that it does not see: keeps the values of the best epoch, and says when to stop.
 *
 * @module
 */
import type { Examples } from "../gpu/examples.ts";
import type { Network } from "../gpu/network.ts";
import { type EvaluatorTools, openEvaluator } from "./evaluate.ts";
import type { BestEpoch, EarlyStopping, EpochValidation } from "./settings.ts";

/** What watches a phase of training. */
export interface Watch extends Disposable {
  /** The best epoch so far. */
  readonly best: BestEpoch | undefined;
  /** Evaluates the network's values after an epoch, keeps them where none were better, and says whether to stop. */
  judge(epoch: number): Promise<{ readonly validation: EpochValidation; readonly stops: boolean }>;
}

/** Opens a watch on a network; the best epoch's values and statistics lie in the place `best`. */
export async function openWatch(
  network: Network,
  validation: Examples,
  { patience, measure, best: first, ...tools }: EarlyStopping & EvaluatorTools & {
    /** The best epoch before the watch began, whose values lie in the place already. */
    readonly best?: BestEpoch | undefined;
  },
): Promise<Watch> {
  const evaluator = await openEvaluator(network, validation, tools);
  let best = first;
  return {
    get best() {
      return best;
    },
    async judge(epoch) {
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
