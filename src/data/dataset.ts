/**
 * A data set of labelled images, and choosing rows of it.
 *
 * @module
 */

import { checkNumbers } from "../checks.ts";
import { ShapeError } from "../errors.ts";
import { openRandomStream, shuffledIndices } from "../random.ts";
import type { ImageFacts } from "./image_options.ts";
import { takeStreamed } from "./shards_split.ts";
import { LabelledImages } from "./labelled_images.ts";
import { checkArrays, checkSplit, type ImageSplit, type ImageTask, isStreamed, type Split } from "./split.ts";

export { type ImageSplit, isStreamed, type Split } from "./split.ts";

/** Training and test images of one shape. Mean and deviation are those of the training images, at least 1/255. */
export interface Dataset<S extends Split = ImageSplit> extends ImageTask {
  /** The folder, URL or package that it came from, for the report. */
  readonly source: string;
  /** The images to train on. */
  readonly train: S;
  /** The images to validate on. */
  readonly test: S;
  /** What became of the files of images; absent for other data sets. */
  readonly images?: ImageFacts;
}

/** A data set before its statistics are known. */
export type DatasetParts = Omit<Dataset, "mean" | "std" | "images">;

/**
 * Adds the per-channel mean and standard deviation of the training images.
 *
 * @throws {ShapeError} If a split's images (N, C, H, W) or labels (N) are not of the size that its count says, or a
 *   label is no class.
 */
export function describeDataset(parts: DatasetParts): Dataset {
  const { channels, height, width, name } = parts;
  for (const use of ["train", "test"] as const) checkSplit(parts[use], `${name}.${use}`, parts);
  const counts = Array.from({ length: channels }, () => new Float64Array(256));
  countValues(parts.train.pixels, counts, height * width);
  return { ...parts, ...channelStatistics(counts) };
}

/** Adds how often each value occurs in each channel of images (N, C, planeSize) to counts (C) x (256). */
export function countValues(images: Uint8Array, counts: readonly Float64Array[], planeSize: number): void {
  for (let start = 0, plane = 0; start < images.length; start += planeSize, plane++) {
    const channelCounts = counts[plane % counts.length];
    for (let i = start; i < start + planeSize; i++) channelCounts[images[i]]++;
  }
}

/**
 * Mean and standard deviation (C), in units where 255 is 1, from the counts of each value in each channel. Counting
 * first keeps the sums exact for any number of pixels.
 */
export function channelStatistics(counts: readonly Float64Array[]): Pick<Dataset, "mean" | "std"> {
  const pixels = counts[0].reduce((sum, count) => sum + count, 0);
  const mean = counts.map((row) => row.reduce((sum, count, value) => sum + count * value, 0) / pixels);
  const std = counts.map((row, c) =>
    Math.sqrt(row.reduce((sum, count, value) => sum + count * (value - mean[c]) ** 2, 0) / pixels)
  );
  return { mean: mean.map((m) => m / 255), std: std.map((s) => Math.max(s, 1) / 255) };
}

/**
 * Takes rows of a split. A number takes the first `rows`, as views without a copy; a list takes copies of these rows,
 * in that order. A streamed split is not read. What knows what its images are gives what knows it too.
 *
 * @throws {ShapeError} If no row is asked for, or one that the split does not have.
 */
export function takeSplit<S extends Split>(split: S, rows: Uint32Array | number): S;
export function takeSplit(split: Split, rows: Uint32Array | number): Split {
  const count = typeof rows === "number" ? rows : rows.length;
  const wanted = `1 to ${split.count} rows of 0 to ${split.count - 1}`;
  if (!Number.isInteger(count) || count < 1 || (typeof rows === "number" && count > split.count)) {
    throw new ShapeError({ act: "take", thing: "rows of a split", current: `${count} rows`, wanted });
  }
  if (isStreamed(split)) return takeStreamed(split, rows);
  checkArrays(split);
  const size = split.pixels.length / split.count;
  const keepTask = (taken: ImageSplit) =>
    split instanceof LabelledImages ? new LabelledImages(taken, split) : taken;
  if (typeof rows === "number") {
    const pixels = split.pixels.subarray(0, count * size), labels = split.labels.subarray(0, count);
    return keepTask({ pixels, labels, count });
  }
  const pixels = new Uint8Array(count * size);
  const labels = split.labels instanceof Uint16Array ? new Uint16Array(count) : new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const row = rows[i];
    if (!(Number.isInteger(row) && row >= 0 && row < split.count)) {
      throw new ShapeError({ act: "take", thing: "rows of a split", current: `row ${row}`, wanted });
    }
    pixels.set(split.pixels.subarray(row * size, (row + 1) * size), i * size);
    labels[i] = split.labels[row];
  }
  return keepTask({ pixels, labels, count });
}

/**
 * Keeps at most the first `train` and `test` rows; mean and std stay those of the whole training set.
 *
 * @throws {ShapeError} If a limit is not a whole number of at least 1.
 */
export function limitDataset<S extends Split>(
  dataset: Dataset<S>,
  limits: { train?: number; test?: number },
): Dataset<S> {
  const limit = (split: S, rows?: number) =>
    rows === undefined ? split : takeSplit(split, rows > split.count ? split.count : rows);
  return { ...dataset, train: limit(dataset.train, limits.train), test: limit(dataset.test, limits.test) };
}

/**
 * Sets `count` rows, chosen by the seed, aside for calibration; the others stay for training. Both keep their order.
 *
 * @throws {ShapeError} If count is below 1 or leaves no row to train on.
 * @throws {ConfigError} If the seed is no whole number of at least 0.
 */
export function splitCalibration<S extends Split>(
  split: S,
  { count, seed }: { count: number; seed: number },
): { train: S; calibration: S } {
  checkNumbers("split examples by", {
    seed: [seed, { whole: true, atLeast: 0, atMost: Number.MAX_SAFE_INTEGER }],
  });
  if (!Number.isInteger(count) || count < 1 || count >= split.count) {
    throw new ShapeError({
      act: "set aside",
      thing: "calibration images",
      current: `${count} of ${split.count}`,
      wanted: `1 to ${split.count - 1}`,
    });
  }
  const order = shuffledIndices(split.count, openRandomStream(seed, "calibration"));
  return {
    train: takeSplit(split, order.slice(count).sort()),
    calibration: takeSplit(split, order.slice(0, count).sort()),
  };
}
