/**
 * Evaluation: loss, accuracy, confusion counts and predictions on a split, all counted on the device.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import type { Examples } from "../gpu/examples.ts";
import { notFinite, openFiniteCheck } from "../gpu/finite.ts";
import { checkBatchFits, fitBatch } from "../gpu/fitting.ts";
import type { Network } from "../gpu/network.ts";
import { preparePlan } from "../gpu/plan_program.ts";
import { readBuffers } from "../gpu/readback.ts";
import type { SlotPool } from "../gpu/slots.ts";
import { EvaluationCounts } from "../gpu/tally.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { countClasses, type Graph } from "../model/graph.ts";
import type { ParameterLayout } from "../plan/layout.ts";
import { lowerPlan } from "../plan/lower.ts";
import type { Plan } from "../plan/plan.ts";
import { type CallOptions, StepWatch } from "./call_options.ts";

/** The result of an evaluation. */
export interface Evaluation {
  /** Fraction of the examples whose label was predicted. */
  readonly accuracy: number;
  /** Mean cross-entropy in nats. */
  readonly loss: number;
  /** Examples evaluated. */
  readonly count: number;
  /** Examples by label and prediction: (classes, classes) in rows of labels. */
  readonly confusion: Uint32Array;
  /** The prediction for each example, in the order of the split. */
  readonly predictions: Uint32Array;
  /** The cross-entropy of each example in nats, in the order of the split. */
  readonly losses: Float32Array;
}

/**
 * The standard error of the mean of numbers, such as an evaluation's losses: the standard deviation of that mean over
 * other samples of the same kind. It is 0 for a single number.
 */
export function standardErrorOfMean(numbers: Float32Array): number {
  const count = numbers.length, mean = numbers.reduce((sum, number) => sum + number, 0) / count;
  const squares = numbers.reduce((sum, number) => sum + (number - mean) ** 2, 0);
  return count > 1 ? Math.sqrt(squares / (count - 1) / count) : 0;
}

/**
 * The standard error of an accuracy: its standard deviation over other samples of examples of the same kind.
 *
 * @param accuracy Fraction of the examples predicted right, in [0, 1].
 * @param examples The number of examples, at least 1.
 */
export function standardError(accuracy: number, examples: number): number {
  return Math.sqrt(accuracy * (1 - accuracy) / examples);
}

/** A network that is ready for any number of evaluations on a split. */
export interface Evaluator extends Disposable {
  /**
   * @throws {NumericError} If a weight, a statistic, a logit or the loss is not finite.
   * @throws The reason of the signal where it is aborted before all batches are counted.
   */
  evaluate(options?: CallOptions): Promise<Evaluation>;
}

/** Examples per batch of evaluation, if the device can hold so many. */
export const evaluationBatch = 256;

/** Options of an evaluation. */
export interface EvaluatorTools {
  readonly choose: ProductChooser;
  readonly slots: SlotPool;
  /** Examples per batch. Default: 256, or as many as the device can hold. */
  readonly evaluationBatch?: number | undefined;
}

/**
 * The batch of an evaluation.
 *
 * @param most Maximum batch: the number of examples.
 * @throws {ShapeError} If the device cannot hold so many as asked for, or not even one.
 */
export function fitEvaluationBatch(
  gpu: Gpu,
  graph: Graph,
  { maxBatch, areImages, choose, evaluationBatch: asked }: Omit<EvaluatorTools, "slots"> & {
    readonly maxBatch: number;
    readonly areImages: boolean;
  },
): number {
  const lower = (batch: number) => lowerEvaluation(graph, { batch, choose, areImages });
  const batch = Math.min(asked ?? evaluationBatch, maxBatch);
  if (asked === undefined) return fitBatch(gpu, batch, lower, ["evaluate", graph.name]);
  checkBatchFits(gpu, batch, lower, "evaluate with");
  return batch;
}

/** Lowers evaluation for a batch. */
export function lowerEvaluation(
  graph: Graph,
  { batch, choose, areImages, ...own }: {
    readonly batch: number;
    readonly choose: ProductChooser;
    readonly areImages: boolean;
    /** The layout of the network that the plan runs on. Default: all parameters in one window. */
    readonly layout?: ParameterLayout;
  },
): Plan {
  const images = areImages ? { images: { augmentation: "none" } as const } : {};
  return lowerPlan(graph, { ...own, batch, mode: "evaluate", choose, ...images });
}

/**
 * Prepares the evaluation of a network on a split. Its parameters may change between runs.
 *
 * @throws {ShapeError} If the device cannot hold so many examples as asked for, or not even one.
 */
export async function openEvaluator(
  network: Network,
  examples: Examples,
  tools: EvaluatorTools,
): Promise<Evaluator> {
  const { gpu, graph, layout } = network;
  const classes = countClasses(graph);
  const { choose, slots } = tools, { areImages } = examples;
  const batch = fitEvaluationBatch(gpu, graph, {
    ...tools,
    areImages,
    maxBatch: Math.min(examples.batch, examples.count),
  });
  const plan = lowerEvaluation(graph, { layout, batch, choose, areImages });
  const counts = new EvaluationCounts(gpu, { classes, examples: examples.count }), { tally } = counts;
  const input = (name: string) => counts.input(name) ?? examples.input(name);
  const step = await preparePlan(plan, { network, slots, input }).catch((error) => {
    counts[Symbol.dispose]();
    throw error;
  });
  const order = { batch, seed: 0, epoch: 0, shuffle: false, dropLast: false };
  const check = await openFiniteCheck(network, ["values", "statistics"]);
  return {
    async evaluate(watched = {}) {
      check.run();
      counts.clear();
      const watch = new StepWatch(watched, Math.ceil(examples.count / batch), () => tally.read());
      let offset = 0;
      for await (const rows of examples.batches(order)) {
        await watch.next();
        examples.select(rows, step.bind);
        step.program.run({ count: rows.length, index: offset, offset, seed: 0 });
        offset += rows.length;
      }
      const { lossSum, correct, count, bad } = await tally.read();
      await watch.next();
      const buffers = [counts.confusion, counts.predictions, check.found, counts.losses];
      const read = await readBuffers(gpu, buffers.map((buffer) => ({ buffer })));
      const [confusion, predictions, found] = read.map((bytes) => new Uint32Array(bytes));
      // Weights first: a bad weight may not show in any logit, because a ReLU turns NaN into 0.
      const wrong = await check.name(found);
      if (wrong !== undefined) throw notFinite(network, "evaluate", wrong);
      if (bad !== undefined) {
        const last = Math.min(bad.step + batch, examples.count) - 1;
        throw notFinite(network, "evaluate", `a logit of examples ${bad.step} to ${last} is not finite`);
      }
      return {
        accuracy: correct / count,
        loss: lossSum / count,
        count,
        confusion: confusion.slice(0, classes * classes),
        predictions: predictions.slice(0, examples.count),
        losses: new Float32Array(read[3], 0, examples.count),
      };
    },
    [Symbol.dispose]() {
      step[Symbol.dispose]();
      check[Symbol.dispose]();
      counts[Symbol.dispose]();
    },
  };
}
