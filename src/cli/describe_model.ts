/**
 * What commands say of the model that they opened.
 *
 * @module
 */
import type { LoadedModel } from "../../mod.ts";

const sources = {
  options: "as given",
  file: "as its file says",
  family: "ImageNet's, as ResNets of this kind take; --mean and --std set others",
  "data set": "of the training images; --mean and --std set others",
} as const;

/** Lines on what a user may not expect of a model that was opened for a data set. */
export function describeLoadedModel(
  { graph, weights, normalization, normalizedBy, classes }: LoadedModel,
  dataset: {
    readonly classes: readonly string[];
    readonly mean: readonly number[];
    readonly std: readonly number[];
  },
): readonly string[] {
  const { mean, std } = normalization ?? dataset;
  const list = (values: readonly number[]) => values.map((value) => Number(value.toFixed(4))).join(", ");
  const lines = [`model: ${graph.name}, ${weights ? "weights of the file" : "random weights"}`];
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
