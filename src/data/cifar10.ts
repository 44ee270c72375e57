/**
 * CIFAR-10 in its binary format: files of records, each with one byte of label and 3072 pixels (C, H, W) = (3, 32,
 * 32). Source: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version".
 *
 * @module
 */

import { FileError, FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import { type Dataset, describeDataset, type ImageSplit } from "./dataset.ts";
import { checkDistinctFiles, findTwice } from "./distinct_files.ts";
import { checkDistinctImages } from "./distinct_images.ts";
import { openSplit, type ShardSource } from "./shards.ts";
import { measureStatistics } from "./shards_load.ts";
import type { StreamedSplit } from "./shards_split.ts";

/** The names of the training files. At least one must be there. */
export const CIFAR10_TRAIN_FILES: readonly string[] = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`);
/** The name of the test file. */
export const CIFAR10_TEST_FILE = "test_batch.bin";
/** The name of the text file with one class name per line. It may be absent. */
export const CIFAR10_CLASS_FILE = "batches.meta.txt";

const SIDE = 32, CHANNELS = 3;
const IMAGE_BYTES = CHANNELS * SIDE * SIDE, RECORD_BYTES = 1 + IMAGE_BYTES, MAX_RECORDS = 10_000;
const STANDARD_CLASSES: readonly string[] = "airplane automobile bird cat deer dog frog horse ship truck"
  .split(" ");

/**
 * Reads CIFAR-10 from a folder. It may have fewer images or training files than the whole set.
 *
 * @param options.source its origin in reports. Default: the folder.
 * @throws {FileError} If the test file or every training file is absent.
 * @throws {FormatError} If a file is empty, truncated, longer than 10,000 records, holds a label above 9, or is there
 *   twice, or where the test images are training images.
 */
export async function readCifar10(
  { files, folder, source = folder }: { files: Files; folder: string; source?: string },
): Promise<Dataset> {
  const names = await listCifar10(files, folder);
  const readSplit = async (chosen: readonly string[]) => {
    const parts: ImageSplit[] = [];
    for (const path of chosen.map((name) => `${folder}/${name}`)) {
      parts.push(parseCifar10(await files.read(path), path));
    }
    return joinSplits(parts);
  };
  const train = await readSplit(names.train), test = await readSplit([CIFAR10_TEST_FILE]);
  checkDistinctImages({ train, test }, `${folder}/${CIFAR10_TEST_FILE}`);
  return describeDataset({
    name: "cifar10",
    source,
    channels: CHANNELS,
    height: SIDE,
    width: SIDE,
    classes: names.classes,
    train,
    test,
  });
}

/**
 * Opens CIFAR-10 in a folder without keeping it in memory: its files are shards. The training images are read once,
 * for their mean and standard deviation.
 *
 * @param options.source its origin in reports. Default: the folder.
 * @throws {FileError} If the test file or every training file is absent.
 * @throws {FormatError} If a file is empty, truncated or longer than 10,000 records, or a training label is above 9.
 */
export async function streamCifar10(
  { source, ...where }: ShardSource & { source?: string },
): Promise<Dataset<StreamedSplit>> {
  const { files, folder } = where, names = await listCifar10(files, folder);
  const layout = { labelBytes: 1, imageBytes: IMAGE_BYTES, classes: names.classes.length };
  const open = async (chosen: readonly string[]) => {
    const shards = [];
    for (const name of chosen) {
      const path = `${folder}/${name}`, sizeBytes = await files.sizeBytes(path) ?? 0;
      shards.push({ path, count: sizeBytes / RECORD_BYTES });
    }
    return await openSplit(shards, layout, where);
  };
  const train = await open(names.train), test = await open([CIFAR10_TEST_FILE]);
  const shape = { channels: CHANNELS, height: SIDE, width: SIDE };
  const statistics = await measureStatistics(train, CHANNELS);
  return {
    name: "cifar10",
    source: source ?? folder,
    ...shape,
    classes: names.classes,
    train,
    test,
    ...statistics,
  };
}

/** The training files that a folder has, and the names of its classes. */
async function listCifar10(
  files: Files,
  folder: string,
): Promise<{ readonly train: readonly string[]; readonly classes: readonly string[] }> {
  const names = await files.list(folder) ?? [];
  const train = CIFAR10_TRAIN_FILES.filter((name) => names.includes(name));
  if (train.length === 0 || !names.includes(CIFAR10_TEST_FILE)) {
    throw new FileError({
      act: "read CIFAR-10 from",
      thing: folder,
      current: train.length === 0
        ? "none of data_batch_1.bin to data_batch_5.bin is there"
        : `${CIFAR10_TEST_FILE} is absent`,
      wanted: `${CIFAR10_TEST_FILE} and at least one of data_batch_1.bin to data_batch_5.bin`,
    });
  }
  const pathOf = (name: string) => `${folder}/${name}`;
  // Sizes are checked before reading, so a file that is not CIFAR-10 is not read into memory.
  for (const path of [...train, CIFAR10_TEST_FILE].map(pathOf)) {
    checkSize(await files.sizeBytes(path) ?? 0, path);
  }
  await checkDistinctFiles(files, { training: train.map(pathOf), test: [pathOf(CIFAR10_TEST_FILE)] });
  const path = pathOf(CIFAR10_CLASS_FILE);
  const hasClasses = names.includes(CIFAR10_CLASS_FILE);
  return {
    train,
    classes: hasClasses ? parseCifar10Classes(await files.read(path), path) : STANDARD_CLASSES,
  };
}

/**
 * Parses one file of records into images (N, 3, 32, 32) and labels (N).
 *
 * @throws {FormatError} If it is empty, truncated, longer than 10,000 records, or holds a label above 9.
 */
export function parseCifar10(bytes: Uint8Array, name: string): ImageSplit {
  checkSize(bytes.length, name);
  const count = bytes.length / RECORD_BYTES;
  const pixels = new Uint8Array(count * IMAGE_BYTES), labels = new Uint8Array(count);
  for (let row = 0; row < count; row++) {
    const start = row * RECORD_BYTES;
    if (bytes[start] > 9) {
      const current = `label ${bytes[start]} at byte ${start} (record ${row})`;
      throw new FormatError({ act: "read", thing: name, current, wanted: "a label of 0 to 9" });
    }
    labels[row] = bytes[start];
    pixels.set(bytes.subarray(start + 1, start + RECORD_BYTES), row * IMAGE_BYTES);
  }
  return { pixels, labels, count };
}

function checkSize(sizeBytes: number, name: string): void {
  const wanted = `1 to ${MAX_RECORDS} records of ${RECORD_BYTES} bytes`;
  const complain = (current: string) => new FormatError({ act: "read", thing: name, current, wanted });
  if (sizeBytes === 0) throw complain("it is empty (0 bytes)");
  const over = MAX_RECORDS * RECORD_BYTES;
  if (sizeBytes > over) {
    throw complain(`${sizeBytes} bytes, ${sizeBytes - over} too many from byte ${over} on`);
  }
  const rest = sizeBytes % RECORD_BYTES;
  if (rest > 0) {
    throw complain(`${sizeBytes} bytes, truncated: the record at byte ${sizeBytes - rest} has ${rest} bytes`);
  }
}

/**
 * Parses the class names, one per line.
 *
 * @throws {FormatError} If there are not ten, or two are the same.
 */
function parseCifar10Classes(bytes: Uint8Array, name: string): readonly string[] {
  const classes = new TextDecoder().decode(bytes).split("\n").map((line) => line.trim()).filter((line) =>
    line
  );
  if (classes.length !== STANDARD_CLASSES.length) {
    const current = `${classes.length} class names in ${bytes.length} bytes`;
    throw new FormatError({ act: "read", thing: name, current, wanted: "10 class names, one per line" });
  }
  const twice = findTwice(classes);
  if (twice === undefined) return classes;
  const current = `two classes are named ${JSON.stringify(twice)}`;
  throw new FormatError({
    act: "read",
    thing: name,
    current,
    wanted: "10 different class names, one per line",
  });
}

function joinSplits(parts: readonly ImageSplit[]): ImageSplit {
  if (parts.length === 1) return parts[0];
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  const pixels = new Uint8Array(count * IMAGE_BYTES), labels = new Uint8Array(count);
  let row = 0;
  for (const part of parts) {
    pixels.set(part.pixels, row * IMAGE_BYTES);
    labels.set(part.labels, row);
    row += part.count;
  }
  return { pixels, labels, count };
}
