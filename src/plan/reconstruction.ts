/**
 * Reconstruction: a network learns to compute what another network of the same graph computes, layer outputs and
 * logits, without labels.
 *
 * @module
 */
import type { GraphNode } from "../model/graph.ts";
import { findGates, findLastOfEachSize } from "./features.ts";

/**
 * A loss of a teacher's layer outputs alone: the sum over layers of |s - t|^2 / |t|^2, with s the outputs of a batch
 * and t the teacher's. Batch norm takes its running statistics, and dropout passes all on, as in evaluation.
 */
export interface Reconstruction {
  /** The indices of the layers that are compared, in order; all paths to the last of them go through the others. */
  readonly layers: readonly number[];
  /** The index of the first layer that gets gradients. */
  readonly first: number;
}

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
