/**
 * The task of a preset.
 *
 * @module
 */
import type { ClassificationTask } from "../graph.ts";

/** The images (C, H, W) of a preset, and the classes; a data set is one. */
export type PresetTask = Pick<ClassificationTask, "channels" | "height" | "width"> & {
  /** The number of logits, or a name for each. */
  readonly classes: number | readonly string[];
};

/** The number of logits of a preset. */
export function countTaskClasses({ classes }: PresetTask): number {
  return typeof classes === "number" ? classes : classes.length;
}
