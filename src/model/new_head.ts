/**
 * A network for another number of classes: its last layer with weights is made anew.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import { countClasses, type Graph, resolveGraph } from "./graph.ts";

/** A network with another last layer. */
export interface NewHead {
  readonly graph: Graph;
  /** The name of the layer that is new. */
  readonly layer: string;
  /** How many classes there were. */
  readonly before: number;
}

/**
 * Gives a network another number of classes; undefined where it has that number already.
 *
 * @throws {ShapeError} If its logits do not come from one layer with a weight, by way of layers without.
 */
export function replaceHead(graph: Graph, classes: number): NewHead | undefined {
  const nodes = resolveGraph(graph), before = countClasses(graph, nodes);
  if (before === classes) return undefined;
  let at = nodes.length - 1;
  for (let node = nodes[at]; node && !node.type.withOutputs; node = nodes[at]) {
    const passesOn = node.parameters.length === 0 && node.sources.length === 1;
    at = passesOn ? node.sources[0] : -1;
  }
  const node = nodes[at], spec = node?.type.withOutputs?.(node.spec, classes);
  if (spec === undefined) refuse(graph, `its ${before} logits are not those of one layer`);
  const renewed = { ...graph, layers: graph.layers.with(at, spec) };
  if (countClasses(renewed) !== classes) refuse(graph, `its ${before} logits are not one for each channel`);
  return { graph: renewed, layer: spec.name, before };
}

function refuse(graph: Graph, current: string): never {
  const wanted = "a linear layer or a convolution without groups at its end";
  throw new ShapeError({ act: "change the classes of", thing: graph.name, current, wanted });
}
