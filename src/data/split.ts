/**
 * Splits of labelled images, and checks of their array types, sizes and labels.
 *
 * @module
 */
import { describeValue } from "../checks.ts";
import { ShapeError } from "../errors.ts";
import type { StreamedSplit } from "./shards_split.ts";

/** A split of labelled images in memory. */
export interface ImageSplit {
  /** Pixels 0 to 255, (N, C, H, W). */
  readonly pixels: Uint8Array;
  /** The class of each image, (N). */
  readonly labels: Uint8Array | Uint16Array;
  /** N, at least 1. */
  readonly count: number;
}

/** Labelled images, in memory or in files. */
export type Split = ImageSplit | StreamedSplit;

/** True for a split that lies in files and is read while it is used. */
export function isStreamed(split: Split): split is StreamedSplit {
  return "shards" in split;
}

/** What images are, and what they are told apart as: all that a model knows of its data. */
export interface ImageTask {
  /** A short name of the data set, such as `cifar10`. */
  readonly name: string;
  /** C of the images. */
  readonly channels: number;
  /** H of the images, in pixels. */
  readonly height: number;
  /** W of the images, in pixels. */
  readonly width: number;
  /** The name of each class; a label is an index into it, and logit i belongs to class i. */
  readonly classes: readonly string[];
  /** Mean of each channel, (C), in units where 255 is 1. */
  readonly mean: readonly number[];
  /** Standard deviation of each channel, (C), in units where 255 is 1. */
  readonly std: readonly number[];
}

/** The task that a split must fit. */
type SplitTask = Pick<ImageTask, "channels" | "height" | "width" | "classes">;

type Refuse = (part: string, current: string, wanted: string) => never;

/**
 * Checks a split against the images and classes of a task. The labels of a streamed split are checked when they are read.
 *
 * @param name The argument that holds the split, for messages.
 * @throws {ShapeError} Naming the part of the argument that is wrong, its value, and what was expected.
 */
export function checkSplit(split: Split, name: string, task: SplitTask): void {
  const refuse: Refuse = (part, current, wanted) => {
    const thing = part === "" ? name : `${name}.${part}`;
    throw new ShapeError({ act: "use examples", thing, current, wanted });
  };
  if (typeof split !== "object" || split === null) refuse("", describeValue(split), "a split of images");
  if (isStreamed(split)) return checkStreamed(split, task, refuse);
  checkArrays(split, refuse);
  const { channels, height, width, classes } = task, { pixels, labels, count } = split;
  const shape = [count, channels, height, width], size = channels * height * width;
  if (pixels.length !== count * size) {
    refuse("pixels", `${pixels.length} bytes`, `${count * size} as (N, C, H, W) = (${shape.join(", ")})`);
  }
  const wrong = labels.findIndex((label: number) => label >= classes.length);
  if (wrong >= 0) refuse(`labels[${wrong}]`, `${labels[wrong]}`, `a class of 0 to ${classes.length - 1}`);
}

/**
 * Checks that a split's arrays have the right types, and lengths that fit its count.
 *
 * @throws {ShapeError} Naming the part of the argument that is wrong.
 */
export function checkArrays({ pixels, labels, count }: ImageSplit, refuse: Refuse = refuseTaking): void {
  checkCount(count, refuse);
  if (!(pixels instanceof Uint8Array)) refuse("pixels", describeValue(pixels), "a Uint8Array (N, C, H, W)");
  if (!(labels instanceof Uint8Array || labels instanceof Uint16Array)) {
    refuse("labels", describeValue(labels), "a Uint8Array or Uint16Array (N)");
  }
  if (labels.length !== count) refuse("labels", `${labels.length} labels`, `${count}, as count says`);
  if (pixels.length === 0 || pixels.length % count > 0) {
    refuse("pixels", `${pixels.length} bytes`, `as many for each of ${count} images`);
  }
}

function refuseTaking(part: string, current: string, wanted: string): never {
  throw new ShapeError({ act: "use examples", thing: `split.${part}`, current, wanted });
}

function checkCount(count: number, refuse: Refuse): void {
  if (Number.isInteger(count) && count >= 1) return;
  refuse("count", describeValue(count), "a whole number of at least 1");
}

function checkStreamed(
  { shards, layout, runs, count }: StreamedSplit,
  { channels, height, width, classes }: SplitTask,
  refuse: Refuse,
): void {
  checkCount(count, refuse);
  const size = channels * height * width;
  if (layout.imageBytes !== size) {
    const shape = [channels, height, width].join(", ");
    refuse("layout.imageBytes", `${layout.imageBytes}`, `${size} as (C, H, W) = (${shape})`);
  }
  if (layout.classes > classes.length) {
    refuse("layout.classes", `${layout.classes}`, `at most the ${classes.length} of the model`);
  }
  let records = 0;
  for (const [i, { shard, first, count }] of runs.entries()) {
    const held = shards[shard]?.count ?? 0, isWhole = Number.isInteger(first) && Number.isInteger(count);
    if (!isWhole || first < 0 || count < 1 || first + count > held) {
      refuse(
        `runs[${i}]`,
        `records ${first} to ${first + count - 1} of shard ${shard}`,
        `some of its ${held}`,
      );
    }
    records += count;
  }
  if (records !== count) refuse("count", `${count}`, `${records}, the records of its runs`);
}
