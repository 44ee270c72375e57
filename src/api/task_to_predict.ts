/**
 * What a model must know of images to predict them, out of its file and the images' data set.
 *
 * @module
 */
import type { ImageTask } from "../data/split.ts";
import type { LoadedImages } from "../data/load_images.ts";
import { ConfigError } from "../errors.ts";
import { countClasses } from "../model/graph.ts";
import type { LoadedModel } from "./load_model.ts";

/**
 * The task of a model that was loaded to predict images. Classes have the names in the model's file, else those of the
 * data set where it has as many, else numbers.
 *
 * @throws {ConfigError} If neither the model nor the images say how images are normalised.
 */
export function taskToPredict(
  { graph, classes: own, normalization }: LoadedModel,
  { name, channels, height, width, classes: others, statistics }: Omit<LoadedImages, "images" | "count">,
): ImageTask {
  const count = countClasses(graph), scale = normalization ?? statistics;
  if (!scale) {
    const current = "neither it nor images without labels say how images are normalised";
    throw new ConfigError({ act: "predict with", thing: graph.name, current, wanted: "--mean and --std" });
  }
  const named = [own, others].find((names) => names?.length === count);
  const classes = named ?? Array.from({ length: count }, (_, label) => `${label}`);
  return { name, channels, height, width, classes, mean: scale.mean, std: scale.std };
}
