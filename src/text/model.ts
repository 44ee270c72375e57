/**
 * A model that was opened, in words.
 *
 * @module
 */
import type { Normalization } from "../io/recognize.ts";
import type { Graph } from "../model/graph.ts";

const sources = {
  options: "as given",
  file: "as its file says",
  family: "ImageNet's, as ResNets of this kind take; --mean and --std set others",
  "data set": "of the training images; --mean and --std set others",
} as const;

/** What is told of a model that was opened. */
interface OpenedModel {
  readonly graph: Graph;
  readonly weights?: unknown;
  readonly normalization?: Normalization;
  readonly normalizedBy: keyof typeof sources;
  readonly classes?: readonly string[];
  readonly newHead?: { readonly layer: string; readonly before: number };
}

/** Lines on what a user may not expect of a model that was opened for a data set. */
export function describeLoadedModel(
  { graph, weights, normalization, normalizedBy, classes, newHead }: OpenedModel,
  dataset: {
    readonly classes: readonly string[];
    readonly mean: readonly number[];
    readonly std: readonly number[];
  },
): readonly string[] {
  const { mean, std } = normalization ?? dataset;
  const list = (values: readonly number[]) => values.map((value) => Number(value.toFixed(4))).join(", ");
  const lines = [`model: ${graph.name}, ${weights ? "weights of the file" : "random weights"}`];
  if (newHead) {
    const { layer, before } = newHead, count = dataset.classes.length;
    lines.push(`its last layer ${layer} is new: ${count} classes in place of ${before}, random weights`);
  }
  if (weights || normalization) {
    lines.push(
      `images are normalised by mean ${list(mean)}, deviation ${list(std)}: ${sources[normalizedBy]}`,
    );
  }
  if (classes && classes.join() !== dataset.classes.join()) {
    lines.push(`its classes are ${classes.join(", ")}, those of the data set ${dataset.classes.join(", ")}`);
  }
  return lines;
}
