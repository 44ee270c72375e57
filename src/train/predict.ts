/**
 * Prediction: the logits of images, read back to the host batch by batch, with probabilities and labels.
 *
 * @module
 */
import { NumericError } from "../errors.ts";
import type { Examples } from "../gpu/examples.ts";
import type { Network } from "../gpu/network.ts";
import { preparePlan } from "../gpu/plan_program.ts";
import { readBuffers } from "../gpu/readback.ts";
import { rowsFromQuads } from "../io/quads.ts";
import { tensorRef } from "../kernels/buffer_ref.ts";
import { countClasses } from "../model/graph.ts";
import { lowerForward } from "../plan/forward.ts";
import { findLogits } from "../plan/plan.ts";
import { countQuads } from "../shape.ts";
import { type CallOptions, StepWatch } from "./call_options.ts";
import { type EvaluatorTools, fitEvaluationBatch } from "./evaluate.ts";

/** The prediction for an image. */
export interface Prediction {
  /** The class of the largest logit, the first of equal ones. */
  readonly label: number;
  /** How probable that class is by the network, in [0, 1]. */
  readonly probability: number;
}

/** The predictions for N images, one after the other, or all as arrays; C is the number of classes. */
export class Predictions implements Iterable<Prediction> {
  /**
   * Predictions of arrays, which are not copied.
   *
   * @param logits The network's outputs, (N, C).
   * @param probabilities Softmax of the logits, (N, C); each row adds up to 1.
   * @param labels The class of the largest logit, the first of equal ones, (N).
   */
  constructor(
    readonly logits: Float32Array,
    readonly probabilities: Float32Array,
    readonly labels: Uint32Array,
  ) {}

  /** The prediction for each image, in the order of the images. */
  *[Symbol.iterator](): Generator<Prediction> {
    const classes = this.logits.length / this.labels.length;
    for (const [row, label] of this.labels.entries()) {
      yield { label, probability: this.probabilities[row * classes + label] };
    }
  }
}

/** Options of a prediction. */
export interface PredictOptions extends EvaluatorTools, CallOptions {}

/**
 * Predicts examples. Their labels are not used.
 *
 * @throws {ShapeError} If the device cannot hold so many examples at a time as asked for, or not even one.
 * @throws {NumericError} If a logit is not finite.
 * @throws The reason of the signal where it is aborted before all batches are started.
 */
export async function predict(
  network: Network,
  examples: Examples,
  { signal, onProgress, ...tools }: PredictOptions,
): Promise<Predictions> {
  const { gpu, graph, layout } = network, { count, areImages } = examples;
  const classes = countClasses(graph);
  // The same batch as in evaluation, so both sum in the same order and give the same labels.
  const batch = fitEvaluationBatch(gpu, graph, {
    ...tools,
    areImages,
    maxBatch: Math.min(examples.batch, count),
  });
  const images = areImages ? { images: { augmentation: "none" } as const } : {};
  const plan = lowerForward(graph, { layout, batch, choose: tools.choose, ...images });
  const input = (name: string) => examples.input(name);
  using step = await preparePlan(plan, { network, slots: tools.slots, input });
  const { buffer } = step.bind(tensorRef(findLogits(plan)));
  const rowBytes = 16 * countQuads(classes), logits = new Float32Array(count * classes);
  const store = async (first: number, rows: number) => {
    const [bytes] = await readBuffers(gpu, [{ buffer, sizeBytes: rows * rowBytes }]);
    logits.set(rowsFromQuads(new Float32Array(bytes), rows, classes), first * classes);
  };
  let stored = Promise.resolve(), first = 0;
  const watch = new StepWatch({ signal, onProgress }, Math.ceil(count / batch), () => stored);
  for await (const rows of examples.batches({ batch, seed: 0, epoch: 0, shuffle: false, dropLast: false })) {
    await watch.next();
    examples.select(rows, step.bind);
    step.program.run({ count: rows.length, index: first, offset: first, seed: 0 });
    // The logits are copied before the next batch overwrites them, and read back while that batch runs.
    const storing = store(first, rows.length);
    storing.catch(() => {});
    await stored;
    stored = storing;
    first += rows.length;
  }
  await stored;
  await watch.next();
  return toPredictions(logits, classes);
}

/**
 * Probabilities and labels of logits (N, C).
 *
 * @throws {NumericError} If a logit is not finite.
 */
export function toPredictions(logits: Float32Array, classes: number): Predictions {
  const count = logits.length / classes;
  const probabilities = new Float32Array(logits.length), labels = new Uint32Array(count);
  for (let row = 0; row < count; row++) {
    const scores = logits.subarray(row * classes, (row + 1) * classes);
    const wrong = scores.findIndex((logit) => !Number.isFinite(logit));
    if (wrong >= 0) {
      const current = `logit ${wrong} is ${scores[wrong]}`;
      throw new NumericError(
        { act: "predict example", thing: `${row}`, current, wanted: "finite logits" },
        row,
      );
    }
    const largest = scores.reduce((max, logit) => Math.max(max, logit));
    labels[row] = scores.indexOf(largest);
    // A map of a Float32Array would round each term.
    const terms = Float64Array.from(scores, (logit) => Math.exp(logit - largest));
    const sum = terms.reduce((total, term) => total + term, 0);
    probabilities.set(terms.map((term) => term / sum), row * classes);
  }
  return new Predictions(logits, probabilities, labels);
}
