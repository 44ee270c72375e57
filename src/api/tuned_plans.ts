/**
 * The plans whose matrix products are tuned before a model trains or scores.
 *
 * @module
 */
import type { Examples } from "../gpu/examples.ts";
import { fitBatch } from "../gpu/fitting.ts";
import type { Network } from "../gpu/network.ts";
import type { ProductChooser } from "../kernels/product.ts";
import type { Graph } from "../model/graph.ts";
import { lowerPlan } from "../plan/lower.ts";
import { lowerReconstructions } from "../prune/refit/reconstruct.ts";
import { fillRefitSettings, type RefitSettings } from "../prune/refit/settings.ts";
import { type FisherEstimate, scoreBatch } from "../prune/score/accumulate.ts";
import { makeImageOptions } from "../train/step_programs.ts";

/** Lowers plans with a chooser, which sees all their products. */
export type LowerPlans = (choose: ProductChooser) => void;

/** A step of training. */
export function trainingPlans(graph: Graph, examples: Examples, rows: number): LowerPlans {
  const source = {
    ...makeImageOptions(examples, {}),
    mode: "train",
    batch: Math.min(rows, examples.count),
  } as const;
  return (choose) => lowerPlan(graph, { ...source, choose });
}

/**
 * The steps of a refit beyond single layers, with batches as large as the device can hold by a chooser.
 *
 * @throws {ConfigError} If a setting is not possible.
 */
export function refitPlans(
  { gpu, graph, layout }: Network,
  { count }: Pick<Examples, "count">,
  { choose, ...given }: Partial<RefitSettings> & { readonly choose: ProductChooser },
): LowerPlans {
  const { by, batch: most } = fillRefitSettings(given);
  const lower = (batch: number, choose: ProductChooser) =>
    lowerReconstructions(graph, by, { layout, batch, choose });
  const fits = (batch: number) => lower(batch, choose);
  const batch = fitBatch(gpu, Math.min(most, count), fits, ["refit weights of", graph.name]);
  return (choose) => lower(batch, choose);
}

/** A batch of scoring, as large as the device can hold by a chooser. */
export function scoringPlans(
  { gpu, graph }: Network,
  examples: Examples,
  { fisher, choose }: { readonly fisher: FisherEstimate | undefined; readonly choose: ProductChooser },
): LowerPlans {
  const lower = (batch: number, choose: ProductChooser) =>
    lowerPlan(graph, { ...makeImageOptions(examples, {}), mode: "score", batch, choose });
  const maxBatch = Math.min(fisher === "example" ? 1 : scoreBatch, examples.count);
  const batch = fitBatch(gpu, maxBatch, (batch) => lower(batch, choose), ["score", graph.name]);
  return (choose) => lower(batch, choose);
}
