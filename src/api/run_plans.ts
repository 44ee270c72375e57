/**
 * The plans of a run, lowered ahead of it so that their matrix products can be tuned.
 *
 * @module
 */
import type { ProductChooser } from "../kernels/product.ts";
import type { Graph } from "../model/graph.ts";
import { lowerPlan } from "../plan/lower.ts";
import { scoreBatch } from "../prune/accumulate.ts";
import { evaluationBatch } from "./model_options.ts";

/** Examples a step, and in all, of a run. */
export interface RunSizes {
  /** Examples a training step. */
  readonly batch: number;
  /** Training examples. */
  readonly train: number;
  /** Test examples. */
  readonly test: number;
}

/** Lowers training, evaluation and scoring of a model with a chooser, which sees every matrix product of a run. */
export function lowerRunPlans(graph: Graph, sizes: RunSizes, choose: ProductChooser): void {
  const source = { choose, images: { augmentation: "none" } } as const;
  lowerPlan(graph, { ...source, mode: "train", batch: Math.min(sizes.batch, sizes.train) });
  lowerPlan(graph, { ...source, mode: "evaluate", batch: Math.min(evaluationBatch, sizes.test) });
  lowerPlan(graph, { ...source, mode: "score", batch: Math.min(scoreBatch, sizes.train) });
}
