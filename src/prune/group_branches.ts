/**
 * Branches of sums, which may go as a whole: a residual block without which the network still has a path.
 *
 * @module
 */
import { type Graph, resolveGraph } from "../model/graph.ts";
import type { ParameterLayout } from "../plan/layout.ts";
import type { Coupling } from "./coupling.ts";

/** The layers that serve one input of one sum and nothing else. */
export interface Branch {
  /** The sum, by name. */
  readonly sum: string;
  /** Its layers by name, in their order. */
  readonly layers: readonly string[];
}

/** Finds the branches of a model's sums, but of a sum that gives the logits. */
export function findBranches(graph: Graph): readonly Branch[] {
  const nodes = resolveGraph(graph), last = nodes.length - 1;
  return nodes.slice(0, last).flatMap(({ spec, sources }, sum): readonly Branch[] => {
    if (spec.kind !== "add") return [];
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

/**
 * Removes the branches of which a layer would keep no channel, so that they add nothing instead of a constant:
 * everything trained in them is masked.
 *
 * @param mask What is removed, as floats of the whole arena; it stays as it is.
 * @returns The mask without those branches, and how many they are.
 */
export function maskBranches(
  graph: Graph,
  { coupling: { groupOf }, layout, removed, mask }: {
    readonly coupling: Coupling;
    readonly layout: ParameterLayout;
    readonly removed: ReadonlySet<number>;
    readonly mask: Float32Array;
  },
): { readonly mask: Float32Array; readonly branches: readonly Branch[] } {
  const isEmpty = new Map(
    graph.layers.map(({ name }, i) => [name, groupOf[i].every((group) => removed.has(group))]),
  );
  const found = findBranches(graph).filter(({ layers }) => layers.some((name) => isEmpty.get(name)));
  const inputsOf = new Map(graph.layers.map(({ name, inputs }) => [name, new Set(inputs).size]));
  // A sum keeps one of its inputs.
  const branches = found.filter(({ sum }, i) =>
    found.slice(0, i + 1).filter((branch) => branch.sum === sum).length < inputsOf.get(sum)!
  );
  const gone = new Set(branches.flatMap(({ layers }) => layers)), masked = mask.slice();
  for (const { fullName, arena, offset, quads } of layout.parameters) {
    const layer = fullName.slice(0, fullName.lastIndexOf("."));
    if (arena === "values" && gone.has(layer)) masked.fill(0, 4 * offset, 4 * (offset + quads));
  }
  return { mask: masked, branches };
}
