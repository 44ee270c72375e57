/**
 * The plans of a run, lowered ahead of it so that their matrix products can be tuned.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { checkBatchFits, fitBatch } from "../gpu/fitting.ts";
import { maxBindingQuads } from "../gpu/network.ts";
import type { ProductChooser } from "../kernels/product.ts";
import type { Graph } from "../model/graph.ts";
import { layOutParameters } from "../plan/layout.ts";
import { lowerPlan } from "../plan/lower.ts";
import { scoreBatch } from "../prune/score/accumulate.ts";
import { evaluationBatch, evaluationBatchOf } from "../train/evaluate.ts";

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
  { evaluationBatch: asked, ...sizes }: Omit<RunSizes, "evaluationBatch" | "scoreBatch"> & {
    readonly evaluationBatch?: number | undefined;
  },
): RunSizes {
  const { choose } = gpu, { batch, train, test: most } = sizes;
  const layout = layOutParameters(graph, maxBindingQuads(gpu));
  const source = { layout, choose, images: { augmentation: "none" } } as const;
  const lower = (mode: "train" | "score") => (batch: number) => lowerPlan(graph, { ...source, mode, batch });
  checkBatchFits(gpu, Math.min(batch, train), lower("train"), "train with");
  return {
    ...sizes,
    evaluationBatch: evaluationBatchOf(gpu, graph, { most, areImages: true, choose, evaluationBatch: asked }),
    scoreBatch: fitBatch(gpu, Math.min(scoreBatch, train), lower("score"), ["score", graph.name]),
  };
}

/** Lowers training, evaluation and scoring of a model with a chooser, which sees every matrix product of a run. */
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
}
