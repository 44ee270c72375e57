/**
 * The task of a preset.
 *
 * @module
 */
import type { ImageTask } from "../../data/split.ts";
import { type ClassificationTask, type Graph, madeFor } from "../graph.ts";

/** The images (C, H, W) of a preset, and the classes: a data set, a split that knows what it is, or the numbers alone. */
export type PresetTask = Pick<ClassificationTask, "channels" | "height" | "width"> & {
  /** The number of logits, or a name for each. */
  readonly classes: number | readonly string[];
};

/** The number of logits of a preset. */
export function countTaskClasses({ classes }: PresetTask): number {
  return typeof classes === "number" ? classes : classes.length;
}

/** Has a graph know the images that it is for, if a task says all of them. */
export function makeFor(
  task: PresetTask & Partial<Pick<ImageTask, "name" | "mean" | "std">>,
  graph: Graph,
): Graph {
  const { name, channels, height, width, classes, mean, std } = task;
  if (typeof classes === "number" || name === undefined || !mean || !std) return graph;
  return { ...graph, [madeFor]: { name, channels, height, width, classes, mean, std } };
}
