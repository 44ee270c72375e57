/**
 * The cost of a network and of its weights: trained numbers, multiply-adds for one image, bytes.
 *
 * @module
 */
import { type Graph, resolveGraph } from "../model/graph.ts";
import { type ModelSummary, summarizeModel } from "../model/summary.ts";
import { getLayerName, type PlacedParameter } from "../plan/layout.ts";
import { planCompaction, type PlanCompactionOptions } from "./compact/compact.ts";
import type { LayerCount } from "./mask.ts";

/** The kinds of cost: trained numbers, multiply-adds for one image, bytes of the stored numbers. */
export type CostKind = "parameters" | "multiplyAdds" | "bytes";

/** The cost of a network, of each kind. Removed weights cost only their bits in the mask. */
export type Cost = Readonly<Record<CostKind, number>>;

/** How a file stores weights, for their bytes. */
export interface CostOptions {
  /** Whether removed weights are not stored, for one bit per weight instead. Default: false. */
  readonly isSparse?: boolean;
}

/** The cost of a network with so many kept weights and unchanged widths. */
export function computeCost(
  graph: Graph,
  layers: readonly LayerCount[],
  { isSparse }: CostOptions = {},
): Cost {
  const summary = summarizeModel(graph), kept = new Map(layers.map((layer) => [layer.name, layer]));
  let { parameters, multiplyAdds } = summary, bytes = 4 * (parameters + summary.statistics);
  for (const layer of summary.layers) {
    const count = kept.get(`${layer.name}.weight`);
    if (!count || count.weights === 0) continue;
    const removed = count.weights - count.kept;
    parameters -= removed;
    multiplyAdds -= layer.multiplyAdds * removed / count.weights;
    if (isSparse) bytes -= Math.max(0, 4 * removed - Math.ceil(count.weights / 8));
  }
  return { parameters, multiplyAdds, bytes };
}

/** The cost of the smaller network that a mask over all trained parameters leaves, as compaction makes it. */
export function computeCompactCost(
  graph: Graph,
  mask: Float32Array,
  options: PlanCompactionOptions = {},
): Cost {
  return computeDenseCost(summarizeModel(planCompaction(graph, { mask }, options).graph));
}

/** The cost of a whole network. */
export function computeDenseCost({ parameters, multiplyAdds, statistics }: ModelSummary): Cost {
  return { parameters, multiplyAdds, bytes: 4 * (parameters + statistics) };
}

/** The unit in which a removal counts. */
export type Measure = "weights" | "multiply-adds";

/** The count of each weight of a tensor: 1, or the number of output pixels, because it is used once in each. */
export function weightCosts(graph: Graph, measure: Measure): (tensor: PlacedParameter) => number {
  if (measure === "weights") return () => 1;
  const pixels = new Map(
    resolveGraph(graph).map(({ spec, output }) => [spec.name, output.height * output.width]),
  );
  return (tensor) => pixels.get(getLayerName(tensor))!;
}
