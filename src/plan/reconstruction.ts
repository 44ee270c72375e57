/**
 * Reconstruction: a network learns to compute what another network of the same graph computes, layer outputs and
 * logits, without labels.
 *
 * @module
 */
import type { GraphNode } from "../model/graph.ts";
import { findGates, findLastOfEachSize, type Reconstruction } from "./features.ts";

/**
 * The layers that a whole network is compared by: the last layer, which gives the logits, and of the layers before it
 * that all paths go through the last one of each map size.
 */
export function findReconstructedLayers(nodes: readonly GraphNode[]): readonly number[] {
  const last = nodes.length - 1;
  return [...findLastOfEachSize(nodes, findGates(nodes, last).filter((layer) => layer < last)), last];
}

/** The parts of a network that end at some layers, in order, each compared at its end alone. Parts without parameters are left out. */
export function findReconstructedParts(
  nodes: readonly GraphNode[],
  layers: readonly number[],
): readonly Reconstruction[] {
  return layers.map((end, i) => ({ layers: [end], first: i === 0 ? 0 : layers[i - 1] + 1 }))
    .filter(({ layers: [end], first }) =>
      nodes.slice(first, end + 1).some(({ parameters }) => parameters.length > 0)
    );
}
