/**
 * What a weight costs: itself, or the multiply-adds that it takes for one image.
 *
 * @module
 */
import type { Graph } from "../../model/graph.ts";
import { resolveGraph } from "../../model/graph.ts";
import { layerNameOf, type PlacedParameter } from "../../plan/layout.ts";

/** What a removal counts. */
export type Measure = "weights" | "multiply-adds";

/** What each weight of a tensor counts for: 1, or the pixels of the output, since it is used once in each. */
export function weightCosts(graph: Graph, measure: Measure): (tensor: PlacedParameter) => number {
  if (measure === "weights") return () => 1;
  const pixels = new Map(
    resolveGraph(graph).map(({ spec, output }) => [spec.name, output.height * output.width]),
  );
  return (tensor) => pixels.get(layerNameOf(tensor))!;
}
