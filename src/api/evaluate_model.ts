/**
 * What a model says of examples: evaluation and prediction.
 *
 * @module
 */
import type { Split } from "../data/split.ts";
import type { Examples } from "../gpu/examples.ts";
import type { CallOptions } from "../train/call_options.ts";
import {
  type Evaluation,
  type Evaluator,
  fitEvaluationBatch,
  lowerEvaluation,
  openEvaluator,
} from "../train/evaluate.ts";
import { predict, type Predictions, toPredictions } from "../train/predict.ts";
import type { ModelCore } from "./model_core.ts";
import type { ModelPredictOptions } from "./model_options.ts";
import { splitToPredict } from "./predicted_images.ts";

/** See `Model.evaluate`. */
export function evaluateModel(core: ModelCore, split: Split, options: CallOptions): Promise<Evaluation> {
  return core.call("evaluating", async () => {
    if (!core.images.isKept(split)) {
      using evaluator = await openEvaluation(core, split, options.signal);
      return await evaluator.evaluate(options);
    }
    let evaluator = core.evaluators.get(split);
    if (!evaluator) {
      evaluator = await openEvaluation(core, split, options.signal);
      core.evaluators.set(split, evaluator);
    }
    return await evaluator.evaluate(options);
  }, options.signal);
}

/** See `Model.predict`. */
export function predictWith(
  core: ModelCore,
  images: Uint8Array | Split,
  { count, ...watched }: ModelPredictOptions,
): Promise<Predictions> {
  return core.call("predicting with", async () => {
    const split = splitToPredict(images, { count, task: core.task });
    if (!split) return toPredictions(new Float32Array(0), core.task.classes.length);
    using open = core.images.open(split, { name: "images" });
    await tuneEvaluation(core, open.examples, watched.signal);
    return await predict(core.network, open.examples, { ...core.tools, ...watched });
  }, watched.signal);
}

/**
 * Uploads a split and compiles what evaluation on it needs, so that evaluating only has to run it. Dispose of it before
 * the model, and make no call meanwhile that runs beside it.
 */
export async function openEvaluation(
  core: ModelCore,
  split: Split,
  signal?: AbortSignal,
): Promise<Evaluator> {
  const images = core.images.open(split, { name: "split" });
  try {
    await tuneEvaluation(core, images.examples, signal);
    const evaluator = await openEvaluator(core.network, images.examples, core.tools);
    return {
      evaluate: (options) => evaluator.evaluate(options),
      [Symbol.dispose]() {
        evaluator[Symbol.dispose]();
        images[Symbol.dispose]();
      },
    };
  } catch (error) {
    images[Symbol.dispose]();
    throw error;
  }
}

/** Tunes evaluation on examples, which prediction shares. */
async function tuneEvaluation(
  core: ModelCore,
  { batch: rows, count, areImages }: Examples,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { gpu, graph } = core.network, maxBatch = Math.min(rows, count);
  const batch = fitEvaluationBatch(gpu, graph, { ...core.tools, maxBatch, areImages });
  await core.tune((choose) => lowerEvaluation(graph, { batch, choose, areImages }), signal);
}
