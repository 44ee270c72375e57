/**
 * The refittable layers of a model: convolutions and linear layers, with the parameters that absorb their shifts and
 * the terms that are added after them, as plain data.
 *
 * @module
 */
import { type Graph, resolveGraph } from "../../model/graph.ts";
import type { ParameterLayout, PlacedParameter } from "../../plan/layout.ts";
import { wireLayers } from "../../plan/wire.ts";
import type { RefitGeometry } from "./geometry.ts";

/** The batch norm that is the only reader of a layer's output. */
export interface FollowingNorm {
  readonly scale: PlacedParameter;
  readonly mean: PlacedParameter;
  readonly variance: PlacedParameter;
  readonly epsilon: number;
}

/** The other terms of the sum that reads a layer's output. */
export interface AddedSkip {
  /** The addition. */
  readonly sum: number;
  /** The layers whose outputs are the other terms; -1 for the images. */
  readonly terms: readonly number[];
}

/** A refittable layer. */
export interface RefittableLayer {
  readonly name: string;
  /** Its index in the graph. */
  readonly index: number;
  /** The layer that it reads; -1 for the images. */
  readonly source: number;
  /** Groups of its channels. Each group is refitted on its own. */
  readonly groups: number;
  /** The geometry of one group. */
  readonly geometry: RefitGeometry;
  readonly weight: PlacedParameter;
  readonly bias: PlacedParameter | undefined;
  readonly norm: FollowingNorm | undefined;
  /** The terms that are added to its output, if all of them are computed before the layer. */
  readonly skip: AddedSkip | undefined;
}

/**
 * Finds the refittable layers, in the order of their computation.
 *
 * @throws {ShapeError} If a layer does not fit its inputs.
 */
export function refittableLayers(
  graph: Graph,
  { parameters }: Pick<ParameterLayout, "parameters">,
): readonly RefittableLayer[] {
  const nodes = resolveGraph(graph);
  const placed = new Map(parameters.map((parameter) => [parameter.fullName, parameter]));
  const computedBy = wireLayers(nodes, "evaluate").map(({ computedBy }) => computedBy);
  const onlyReader = (layer: number): number | undefined => {
    const readers = [...nodes.keys()].filter((i) => nodes[i].sources.includes(layer));
    return readers.length === 1 ? readers[0] : undefined;
  };
  return nodes.flatMap((node, index): RefittableLayer[] => {
    const form = node.type.productForm?.(node);
    if (!form) return [];
    const { spec: { name }, sources: [source] } = node, { groups, ...geometry } = form;
    const at = (layer: number, parameter: string) => placed.get(`${nodes[layer].spec.name}.${parameter}`);
    const reader = onlyReader(index);
    const normForm = reader === undefined ? undefined : nodes[reader].type.normForm?.(nodes[reader].spec);
    const norm = normForm && {
      scale: at(reader!, normForm.scale)!,
      mean: at(reader!, normForm.mean)!,
      variance: at(reader!, normForm.variance)!,
      epsilon: normForm.epsilon,
    };
    const sum = norm ? onlyReader(reader!) : reader;
    const added = norm ? reader! : index;
    const terms = sum !== undefined && nodes[sum].type.isSum
      ? nodes[sum].sources.filter((term) => term !== added)
      : [];
    const areThere = terms.length > 0 && terms.every((term) => term < 0 || computedBy[term] < index);
    return [{
      name,
      index,
      source,
      groups,
      geometry: { name, ...geometry },
      weight: at(index, "weight")!,
      bias: at(index, "bias"),
      norm,
      skip: areThere ? { sum: sum!, terms } : undefined,
    }];
  });
}
