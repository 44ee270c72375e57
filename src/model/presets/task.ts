/**
 * The task of a preset.
 *
 * @module
 */
import type { ClassificationTask } from "../graph.ts";

/** The images (C, H, W) of a preset, and the number of classes. */
export type PresetTask = Pick<ClassificationTask, "channels" | "height" | "width"> & {
  /** Number of logits. */
  readonly classes: number;
};
