/**
 * Branches of sums, which may be removed as a whole, such as residual blocks.
 *
 * @module
 */
import { type Graph, resolveGraph } from "../../model/graph.ts";

/** The layers that compute one input of one sum and nothing else. */
export interface Branch {
  /** The sum, by name. */
  readonly sum: string;
  /** Its layers by name, in their order. */
  readonly layers: readonly string[];
}

/** Finds the branches of a model's sums, except of a sum that gives the logits. */
export function findBranches(graph: Graph): readonly Branch[] {
  const nodes = resolveGraph(graph), last = nodes.length - 1;
  return nodes.slice(0, last).flatMap(({ spec, type, sources }, sum): readonly Branch[] => {
    if (!type.isSum) return [];
    return [...new Set(sources)].flatMap((cut) => {
      const isNeeded = new Set([last]);
      for (let i = last; i >= 0; i--) {
        if (!isNeeded.has(i)) continue;
        for (const source of nodes[i].sources) if (i !== sum || source !== cut) isNeeded.add(source);
      }
      const layers = nodes.map(({ spec }) => spec.name).filter((_, i) => !isNeeded.has(i));
      return layers.length > 0 ? [{ sum: spec.name, layers }] : [];
    });
  });
}

/** The innermost branch around each layer that is in one, by the layer's name. */
export function innermostBranches(graph: Graph): ReadonlyMap<string, Branch> {
  const bySize = findBranches(graph).toSorted((a, b) => a.layers.length - b.layers.length);
  // Of entries of one layer the last counts, so that the smallest branches come last.
  return new Map(
    bySize.toReversed().flatMap((branch) => branch.layers.map((layer) => [layer, branch] as const)),
  );
}

/** The branches that may still be removed as a whole. */
export interface OpenBranches {
  /**
   * The branches to remove if layers keep no channel: the innermost ones around these layers. undefined if a layer is
   * in no branch, or a sum would lose its last input.
   */
  findAround(layers: readonly string[]): readonly Branch[] | undefined;
  /** Marks branches as removed. */
  close(branches: readonly Branch[]): void;
}

/**
 * Decides which branches may be removed as a whole, so that they add zero and not a constant.
 *
 * @param isEmpty True if a layer keeps no channel already. Branches with such a layer are removed.
 */
export function openBranches(graph: Graph, isEmpty: (layer: string) => boolean): OpenBranches {
  const innermost = innermostBranches(graph);
  const inputs = new Map(graph.layers.map(({ name, inputs }) => [name, new Set(inputs).size]));
  const gone = new Set<Branch>();
  const find = (layers: readonly string[]) => new Set(layers.map((layer) => innermost.get(layer)));
  const close = (branches: Iterable<Branch | undefined>) => {
    for (const branch of branches) {
      if (!branch || gone.has(branch)) continue;
      gone.add(branch);
      inputs.set(branch.sum, inputs.get(branch.sum)! - 1);
    }
  };
  close(find(graph.layers.map(({ name }) => name).filter(isEmpty)));
  return {
    findAround(layers) {
      const found = [...find(layers)], going: Branch[] = [];
      for (const branch of found) {
        if (!branch) return undefined;
        if (!gone.has(branch)) going.push(branch);
      }
      const areLeft = going.every(({ sum }) =>
        inputs.get(sum)! > going.filter((branch) => branch.sum === sum).length
      );
      return areLeft ? going : undefined;
    },
    close,
  };
}
