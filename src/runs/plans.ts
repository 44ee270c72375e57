/**
 * The plans of a run, lowered ahead of it so that their matrix products can be tuned.
 *
 * @module
 */
import type { RunConfig } from "../config/config.ts";
import type { Dataset, Split } from "../data/dataset.ts";
import type { Gpu } from "../gpu/device.ts";
import { checkBatchFits, fitBatch } from "../gpu/fitting.ts";
import { maxBindingQuads } from "../gpu/network.ts";
import { shapeKey } from "../kernels/product_choices.ts";
import type { ProductChooser, ProductShape } from "../kernels/product.ts";
import type { Graph } from "../model/graph.ts";
import { layOutParameters } from "../plan/layout.ts";
import { lowerPlan } from "../plan/lower.ts";
import { lowerReconstructions } from "../prune/refit/reconstruct.ts";
import { refitDefaults, type RefitSettings } from "../prune/refit/settings.ts";
import { scoreBatch } from "../prune/score/accumulate.ts";
import type { Progress } from "../train/call_options.ts";
import { evaluationBatch, fitEvaluationBatch } from "../train/evaluate.ts";
import { countCalibration } from "./splits.ts";

/** Examples a step, and in all, of a run. */
export interface RunSizes {
  /** Examples a training step. */
  readonly batch: number;
  /** Training examples. */
  readonly train: number;
  /** Test examples. */
  readonly test: number;
  /** Examples that evaluation takes at a time; 256 where left out. */
  readonly evaluationBatch?: number;
  /** Examples a batch of scoring; 16 where left out. */
  readonly scoreBatch?: number;
  /** Refits of the run, each with the examples of a step; none where left out. */
  readonly refits?: readonly Pick<RefitSettings, "by" | "batch">[];
}

/**
 * What a device can hold of the sizes of a run: smaller batches of evaluation and scoring where those by default do not fit.
 *
 * @throws {ShapeError} If the parameters of a layer, the batch of training, or that of evaluation that is asked for, do not
 *   fit.
 */
export function fitRunSizes(
  gpu: Gpu,
  graph: Graph,
  { evaluationBatch: asked, refits = [], ...sizes }: Omit<RunSizes, "evaluationBatch" | "scoreBatch"> & {
    readonly evaluationBatch?: number | undefined;
  },
): RunSizes {
  const { choose } = gpu, { batch, train, test: maxBatch } = sizes;
  const layout = layOutParameters(graph, maxBindingQuads(gpu));
  const source = { layout, choose, images: { augmentation: "none" } } as const;
  const lower = (mode: "train" | "score") => (batch: number) => lowerPlan(graph, { ...source, mode, batch });
  checkBatchFits(gpu, Math.min(batch, train), lower("train"), "train with");
  return {
    ...sizes,
    evaluationBatch: fitEvaluationBatch(gpu, graph, {
      maxBatch,
      areImages: true,
      choose,
      evaluationBatch: asked,
    }),
    scoreBatch: fitBatch(gpu, Math.min(scoreBatch, train), lower("score"), ["score", graph.name]),
    refits: refits.map(({ by, batch }) => {
      const lower = (batch: number) => lowerReconstructions(graph, by, { layout, batch, choose });
      return { by, batch: fitBatch(gpu, batch, lower, ["refit weights of", graph.name]) };
    }),
  };
}

/** Lowers training, evaluation, scoring and refits of a model with a chooser, which sees the matrix products of their steps. */
export function lowerRunPlans(graph: Graph, sizes: RunSizes, choose: ProductChooser): void {
  const source = { choose, images: { augmentation: "none" } } as const;
  lowerPlan(graph, { ...source, mode: "train", batch: Math.min(sizes.batch, sizes.train) });
  lowerPlan(graph, {
    ...source,
    mode: "evaluate",
    batch: Math.min(sizes.evaluationBatch ?? evaluationBatch, sizes.test),
  });
  lowerPlan(graph, {
    ...source,
    mode: "score",
    batch: Math.min(sizes.scoreBatch ?? scoreBatch, sizes.train),
  });
  for (const { by, batch } of sizes.refits ?? []) lowerReconstructions(graph, by, { batch, choose });
}

/**
 * Has a device measure the products of a run that it does not know yet, where it tunes.
 *
 * @param run.cores How an earlier run computed its products, which then need no measuring.
 * @param run.onProgress Hears of each product, as of the phase `tune`.
 * @param run.signal Ends the measuring once it is aborted.
 * @throws {ShapeError} If the device cannot hold the batch of training, or the one of evaluation that is asked for.
 * @throws The reason of the signal where it ends the measuring.
 */
export async function tuneRun(
  gpu: Gpu,
  { graph, config, prunings = [config.prune], dataset: { train, test }, cores = {}, onProgress, signal }: {
    readonly graph: Graph;
    readonly config: RunConfig;
    /** How the run prunes. Default: as its configuration says. */
    readonly prunings?: readonly RunConfig["prune"][];
    readonly dataset: Pick<Dataset<Split>, "train" | "test">;
    readonly cores?: Readonly<Record<string, string>> | undefined;
    readonly onProgress?: ((phase: string, progress: Progress) => void) | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { tuner } = gpu, { batch } = config.train, { evaluationBatch } = config.device;
  if (!tuner) return;
  const refits = listRefits(prunings, countCalibration(config, train.count));
  const counts = { train: train.count, test: test.count };
  const sizes = fitRunSizes(gpu, graph, { batch, evaluationBatch, refits, ...counts });
  const isKnown = (shape: ProductShape) => Object.hasOwn(cores, shapeKey(shape));
  const lower = (choose: ProductChooser) =>
    lowerRunPlans(graph, sizes, (shape) => isKnown(shape) ? gpu.choose(shape) : choose(shape));
  const onProduct = (step: number, steps: number) => onProgress?.("tune", { step, steps });
  await tuner.tunePlans(lower, { onProduct, signal });
}

/** The refits among ways to prune, each once, on so many calibration examples. */
function listRefits(
  prunings: readonly RunConfig["prune"][],
  calibration: number,
): readonly Pick<RefitSettings, "by" | "batch">[] {
  const asked = prunings.map(({ after }) =>
    "refit" in after ? after.refit.by ?? refitDefaults.by : undefined
  );
  // Too few examples are refused where they are split.
  const batch = Math.max(1, Math.min(refitDefaults.batch, calibration));
  return [...new Set(asked)].flatMap((by) => by ? [{ by, batch }] : []);
}
