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
import type { Distillation, FeatureMaps } from "./distillation.ts";

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
  return maps === "last" ? [last] : findLastOfEachSize(nodes, findGates(nodes, last));
}

/** The trained layers that all paths to a layer go through, in order, itself too. Layers that only move features are left out. */
export function findGates(nodes: readonly GraphNode[], last: number): readonly number[] {
  // All paths to a layer go through the layer itself, and through what all paths to each of its inputs go through.
  const gates: ReadonlySet<number>[] = [];
  for (const [layer, { sources }] of nodes.slice(0, last + 1).entries()) {
    const [first, ...others] = sources.map((source) => gates[source] ?? new Set<number>());
    gates.push(others.reduce((common, other) => common.intersection(other), first).union(new Set([layer])));
  }
  return [...gates[last]].toSorted((a, b) => a - b)
    .filter((layer) => !nodes[layer].type.channels.onlyRearranges && isTrained(nodes, layer));
}

/** Of some layers, in order, the last one of each map size. */
export function findLastOfEachSize(
  nodes: readonly GraphNode[],
  layers: readonly number[],
): readonly number[] {
  const bySize = new Map(layers.map((layer) => {
    const { output: { height, width } } = nodes[layer];
    return [`${height} x ${width}`, layer];
  }));
  return [...bySize.values()].toSorted((a, b) => a - b);
}

/** The indices of the layers whose outputs a loss compares with a teacher's, in order. */
export function findComparedLayers(
  graph: Graph,
  { distillation, reconstruction }: ComparingLoss,
  nodes: readonly GraphNode[] = resolveGraph(graph),
): readonly number[] {
  if (reconstruction) return reconstruction.layers;
  const { featureWeight = 0, featureMaps = "last" } = distillation ?? {};
  return featureWeight > 0 ? findFeatureLayers(graph, featureMaps, nodes) : [];
}

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

/** What of a loss is told by a teacher. */
export interface ComparingLoss {
  readonly distillation?: Distillation | undefined;
  readonly reconstruction?: Reconstruction | undefined;
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
  { map, rows, quads, features, declare, isFirst = false }: FeatureTensors & {
    readonly declare: (name: string, quads: number) => BufferRef;
    /** True where there are no other terms before it. */
    readonly isFirst?: boolean;
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
      constants: { FIRST: isFirst ? 1 : 0 },
    }),
  ];
}

/**
 * The dispatch before a feature layer's backward pass that adds the distance's gradient to that of the layer's
 * output.
 */
export function lowerFeatureGradient(
  { map, rows, quads, features, dy, isRelu, isFirst = false }: FeatureTensors & {
    /** The gradient of the features. */
    readonly dy: BufferRef;
    /**
     * True if the layer is a ReLU. `dy` may have gone through its backward pass already; a second time changes
     * nothing.
     */
    readonly isRelu: boolean;
    /** True where the features have no other gradient. */
    readonly isFirst?: boolean;
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
    constants: { GATED: isRelu ? 1 : 0, FIRST: isFirst ? 1 : 0 },
  });
}
