/**
 * What every preset is made for.
 *
 * @module
 */
import type { ClassificationTask } from "../graph.ts";

/** The images (C, H, W) that a preset takes, and the number of classes. */
export type PresetTask = Pick<ClassificationTask, "channels" | "height" | "width"> & {
  /** Logits that it gives. */
  readonly classes: number;
};
