/**
 * The dispatches that have a network learn a teacher's features too: the map that the classifier reads.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import { checkIterations, type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import { type Graph, type GraphNode, resolveGraph } from "../model/graph.ts";
import { quadsOf } from "../shape.ts";

/** The plan's name for the teacher's features, a buffer that is filled before the step. */
export const teacherFeatures = "teacher_features";

/** Layers between features and the classifier, which only rearrange, drop or pool them. */
const betweenKinds: ReadonlySet<string> = new Set([
  "flatten",
  "dropout",
  "maxpool2d",
  "avgpool2d",
  "globalavgpool2d",
]);

/**
 * The index of the layer that gives a model's features: what its last linear layer reads, before pooling, dropout and
 * flattening.
 *
 * @throws {ShapeError} Where there is none, or nothing before it is trained.
 */
export function featureLayerOf(graph: Graph, nodes: readonly GraphNode[] = resolveGraph(graph)): number {
  const refuse = (current: string): never => {
    const wanted = "a linear layer that reads what trained layers give";
    throw new ShapeError({ act: "compare features of", thing: graph.name, current, wanted });
  };
  const last = nodes.findLastIndex(({ spec }) => spec.kind === "linear");
  if (last < 0) return refuse("no linear layer");
  let [layer] = nodes[last].sources;
  while (layer >= 0 && betweenKinds.has(nodes[layer].spec.kind)) [layer] = nodes[layer].sources;
  const isTrained = (at: number): boolean =>
    at >= 0 && (nodes[at].parameters.length > 0 || nodes[at].sources.some(isTrained));
  if (!isTrained(layer)) return refuse(`${nodes[last].spec.name} reads the images`);
  return layer;
}

/** A student's features and what is laid beside them. */
export interface FeatureTensors {
  /** Examples a step. */
  readonly rows: number;
  /** Quads of one example's features. */
  readonly quads: number;
  /** The tensor of the student's features. */
  readonly features: string;
}

/** Where the slope lies between loss and gradient. */
const slope = "feature slope";

/** The dispatches behind the other terms of the loss that add the distance from the teacher's features. */
export function lowerFeatureLoss(
  weight: number,
  { rows, quads, features, declare }: FeatureTensors & {
    readonly declare: (name: string, quads: number) => string;
  },
): readonly Dispatch[] {
  checkIterations("loss/feature_loss", rows);
  const distances = declare("feature distances", quadsOf(rows));
  const squares = declare("feature squares", quadsOf(rows));
  return [
    // A workgroup of 64 a row.
    dispatchOver(64 * rows, {
      kernel: "loss/feature_distances",
      label: "feature distances",
      bindings: { features, "teacher_features": teacherFeatures, distances, squares },
      params: { rows, quads },
    }),
    dispatchOver(rows, {
      kernel: "loss/feature_loss",
      label: "feature loss",
      bindings: { distances, squares, losses: "losses", slope: declare(slope, 1) },
      params: { rows, weight },
    }),
  ];
}

/** The dispatch before a feature layer's backward pass that adds the gradient of the distance to that of its output. */
export function lowerFeatureGradient(
  { rows, quads, features, dy, isRelu }: FeatureTensors & {
    /** The gradient of the features. */
    readonly dy: string;
    /** True where the layer is a ReLU, whose backward pass `dy` may have gone through: a second time changes nothing. */
    readonly isRelu: boolean;
  },
): Dispatch {
  return dispatchOver(rows * quads, {
    kernel: "loss/feature_gradient",
    label: "feature gradient",
    bindings: { features, "teacher_features": teacherFeatures, slope, dy },
    params: { quads: rows * quads },
    constants: { GATED: isRelu ? 1 : 0 },
  });
}
