/**
 * A data set that a tiny network learns within a few steps: the class is the quarter that is bright.
 *
 * @module
 */
import { type Dataset, describeDataset, type ImageSplit } from "../../src/data/dataset.ts";
import { openRandomStream } from "../../src/random.ts";
import { idxFile } from "./idx_files.ts";

/** Height and width of the images, in pixels. */
export const tinySize = 8;

/** Classes of the data set. */
export const tinyClasses = 4;

/** Images (count, 1, 8, 8) whose bright quarter tells the class, with noise that a seed chooses. */
export function tinySplit(count: number, seed: number): ImageSplit {
  const stream = openRandomStream(seed, "tiny data set"), area = tinySize * tinySize;
  const labels = Uint8Array.from({ length: count }, (_, i) => i % tinyClasses);
  const pixels = Uint8Array.from({ length: count * area }, (_, i) => {
    const line = Math.floor(i % area / tinySize), column = i % tinySize;
    const quarter = 2 * Math.floor(2 * line / tinySize) + Math.floor(2 * column / tinySize);
    return Math.floor(stream.nextUniform() * 100) + (quarter === labels[Math.floor(i / area)] ? 120 : 0);
  });
  return { pixels, labels, count };
}

/** The data set, with so many training and test images. */
export function tinyDataset({ train = 96, test = 40 } = {}): Dataset {
  return describeDataset({
    name: "tiny",
    source: "a test",
    channels: 1,
    height: tinySize,
    width: tinySize,
    classes: ["first", "second", "third", "fourth"],
    train: tinySplit(train, 1),
    test: tinySplit(test, 2),
  });
}

/** The four IDX files of the data set, by name. */
export function tinyDatasetFiles({ train, test }: Dataset): Record<string, Uint8Array<ArrayBuffer>> {
  const images = (split: ImageSplit) => idxFile([split.count, tinySize, tinySize], split.pixels);
  return {
    "train-images-idx3-ubyte": images(train),
    "train-labels-idx1-ubyte": idxFile([train.count], train.labels),
    "t10k-images-idx3-ubyte": images(test),
    "t10k-labels-idx1-ubyte": idxFile([test.count], test.labels),
  };
}
