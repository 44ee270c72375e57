/**
 * Distillation of features: the dispatches that add the distance from a teacher's feature maps to the loss.
 *
 * @module
 */
import { type BufferRef, inputRef, tensorRef } from "../kernels/buffer_ref.ts";
import { ShapeError } from "../errors.ts";
import { checkIterations, type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import { type Graph, type GraphNode, resolveGraph } from "../model/graph.ts";
import { countQuads } from "../shape.ts";
import type { FeatureMaps } from "./distillation.ts";

/** The input with one of the teacher's feature maps, by its index. It is filled before the step. */
export const teacherFeatures = (map: number): string => `teacher_features ${map}`;

/**
 * The index of the layer that gives a model's features: the input of its last linear layer, before pooling, dropout
 * and flattening.
 *
 * @throws {ShapeError} If there is no such layer, or nothing before it is trained.
 */
export function findFeatureLayer(graph: Graph, nodes: readonly GraphNode[] = resolveGraph(graph)): number {
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
 * The indices of the layers that give a model's feature maps, in order. A stage has one map size. Its map is the last
 * one that all paths to the last linear layer go through, such as the output of the last block of a ResNet's stage.
 *
 * @throws {ShapeError} As `findFeatureLayer`.
 */
export function findFeatureLayers(
  graph: Graph,
  maps: FeatureMaps,
  nodes: readonly GraphNode[] = resolveGraph(graph),
): readonly number[] {
  const last = findFeatureLayer(graph, nodes);
  if (maps === "last") return [last];
  // All paths to a layer go through the layer itself, and through what all paths to each of its inputs go through.
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

/** One of a student's feature maps. */
export interface FeatureTensors {
  /** Its index among the compared maps. */
  readonly map: number;
  /** Examples per batch. */
  readonly rows: number;
  /** Quads of one example's features. */
  readonly quads: number;
  /** The tensor of the student's features. */
  readonly features: BufferRef;
}

/** The tensor that passes a map's slope from the loss to the gradient. */
const slopeOf = (map: number): string => `feature slope ${map}`;

/** The dispatches after the other terms of the loss that add the distance from one of the teacher's feature maps. */
export function lowerFeatureLoss(
  weight: number,
  { map, rows, quads, features, declare }: FeatureTensors & {
    readonly declare: (name: string, quads: number) => BufferRef;
  },
): readonly Dispatch[] {
  checkIterations("loss/feature_loss", rows);
  const distances = declare(`feature distances ${map}`, countQuads(rows));
  const squares = declare(`feature squares ${map}`, countQuads(rows));
  return [
    // One workgroup of 64 per row.
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

/**
 * The dispatch before a feature layer's backward pass that adds the distance's gradient to that of the layer's
 * output.
 */
export function lowerFeatureGradient(
  { map, rows, quads, features, dy, isRelu }: FeatureTensors & {
    /** The gradient of the features. */
    readonly dy: BufferRef;
    /**
     * True if the layer is a ReLU. `dy` may have gone through its backward pass already; a second time changes
     * nothing.
     */
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
