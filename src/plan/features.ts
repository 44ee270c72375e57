/**
 * The dispatches that have a network learn a teacher's features too: the map that the classifier reads, and others.
 *
 * @module
 */
import { type BufferRef, inputRef, tensorRef } from "../kernels/buffer_ref.ts";
import { ShapeError } from "../errors.ts";
import { checkIterations, type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import { type Graph, type GraphNode, resolveGraph } from "../model/graph.ts";
import { quadsOf } from "../shape.ts";
import type { FeatureMaps } from "./distillation.ts";

/** The plan's name for one of the teacher's feature maps, by its place among them: a buffer filled before the step. */
export const teacherFeatures = (map: number): string => `teacher_features ${map}`;

/**
 * The index of the layer that gives a model's features: what its last linear layer reads, before pooling, dropout and
 * flattening.
 *
 * @throws {ShapeError} If there is none, or nothing before it is trained.
 */
export function featureLayerOf(graph: Graph, nodes: readonly GraphNode[] = resolveGraph(graph)): number {
  const refuse = (current: string): never => {
    const wanted = "a linear layer that reads what trained layers give";
    throw new ShapeError({ act: "compare features of", thing: graph.name, current, wanted });
  };
  const last = nodes.findLastIndex(({ type }) => type.classifies);
  if (last < 0) return refuse("no linear layer");
  let [layer] = nodes[last].sources;
  while (layer >= 0 && nodes[layer].type.channels.onlyRearranges) [layer] = nodes[layer].sources;
  if (!isTrained(nodes, layer)) return refuse(`${nodes[last].spec.name} reads the images`);
  return layer;
}

function isTrained(nodes: readonly GraphNode[], layer: number): boolean {
  if (layer < 0) return false;
  const { parameters, sources } = nodes[layer];
  return parameters.length > 0 || sources.some((source) => isTrained(nodes, source));
}

/**
 * The indices of the layers that give a model's feature maps, in order. A stage is of one size of maps; its map is the
 * last that all paths to the last linear layer go through, as behind the last block of a ResNet's stage.
 *
 * @throws {ShapeError} As `featureLayerOf`.
 */
export function featureLayersOf(
  graph: Graph,
  maps: FeatureMaps,
  nodes: readonly GraphNode[] = resolveGraph(graph),
): readonly number[] {
  const last = featureLayerOf(graph, nodes);
  if (maps === "last") return [last];
  // What all paths to a layer go through: itself, and what they go through to each of its inputs.
  const gates: ReadonlySet<number>[] = [];
  for (const [layer, { sources }] of nodes.slice(0, last + 1).entries()) {
    const [first, ...others] = sources.map((source) => gates[source] ?? new Set<number>());
    gates.push(others.reduce((common, other) => common.intersection(other), first).union(new Set([layer])));
  }
  const bySize = new Map<string, number>();
  for (const layer of gates[last]) {
    const { type, output: { height, width } } = nodes[layer];
    if (!type.channels.onlyRearranges && isTrained(nodes, layer)) bySize.set(`${height} x ${width}`, layer);
  }
  return [...bySize.values()].toSorted((a, b) => a - b);
}

/** One of a student's feature maps and what is laid beside it. */
export interface FeatureTensors {
  /** Its place among the maps that are compared. */
  readonly map: number;
  /** Examples a step. */
  readonly rows: number;
  /** Quads of one example's features. */
  readonly quads: number;
  /** The tensor of the student's features. */
  readonly features: BufferRef;
}

/** Where a map's slope lies between loss and gradient. */
const slopeOf = (map: number): string => `feature slope ${map}`;

/** The dispatches behind the other terms of the loss that add the distance from one of the teacher's feature maps. */
export function lowerFeatureLoss(
  weight: number,
  { map, rows, quads, features, declare }: FeatureTensors & {
    readonly declare: (name: string, quads: number) => BufferRef;
  },
): readonly Dispatch[] {
  checkIterations("loss/feature_loss", rows);
  const distances = declare(`feature distances ${map}`, quadsOf(rows));
  const squares = declare(`feature squares ${map}`, quadsOf(rows));
  return [
    // A workgroup of 64 a row.
    dispatchOver(64 * rows, {
      kernel: "loss/feature_distances",
      label: "feature distances",
      bindings: { features, "teacher_features": inputRef(teacherFeatures(map)), distances, squares },
      params: { rows, quads },
    }),
    dispatchOver(rows, {
      kernel: "loss/feature_loss",
      label: "feature loss",
      bindings: { distances, squares, losses: tensorRef("losses"), slope: declare(slopeOf(map), 1) },
      params: { rows, weight },
    }),
  ];
}

/** The dispatch before a feature layer's backward pass that adds the gradient of the distance to that of its output. */
export function lowerFeatureGradient(
  { map, rows, quads, features, dy, isRelu }: FeatureTensors & {
    /** The gradient of the features. */
    readonly dy: BufferRef;
    /** True if the layer is a ReLU, whose backward pass `dy` may have gone through: a second time changes nothing. */
    readonly isRelu: boolean;
  },
): Dispatch {
  return dispatchOver(rows * quads, {
    kernel: "loss/feature_gradient",
    label: "feature gradient",
    bindings: {
      features,
      "teacher_features": inputRef(teacherFeatures(map)),
      slope: tensorRef(slopeOf(map)),
      dy,
    },
    params: { quads: rows * quads },
    constants: { GATED: isRelu ? 1 : 0 },
  });
}
