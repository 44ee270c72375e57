/**
 * Data sets as shards: files of records (a label, then pixels (C, H, W) as bytes) and an index, `dataset.json`.
 * docs/formats.md describes the format.
 *
 * @module
 */

import { z } from "zod";
import { FileError, FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import { maxJsonBytes, parseJson } from "../json.ts";
import { describeRefusal } from "../schema_words.ts";
import { imageBounds } from "../shape.ts";
import type { Dataset } from "./dataset.ts";
import { checkDistinctFiles, findTwice } from "./distinct_files.ts";
import { isNormalization, normalizationWanted } from "./normalization.ts";
import { measureStatistics } from "./shards_load.ts";
import { type BlockReader, type RecordLayout, sizeFailure, toError } from "./shards_reader.ts";
import { type Shard, splitOfShards, type StreamedSplit } from "./shards_split.ts";

/** The name of the index in a folder of shards. */
export const SHARD_INDEX_FILE = "dataset.json";

const shardList = z.array(z.strictObject({
  file: z.string().regex(/^[^/\\]+$/).refine((name) => name !== "." && name !== "..").meta({
    wanted: "the name of a file in the same folder",
  }),
  count: z.int().min(1).max(2 ** 32 - 1),
})).min(1);

const indexSchema = z.strictObject({
  format: z.literal("winnow-shards"),
  version: z.literal(1),
  name: z.string().min(1),
  channels: z.int().min(1).max(imageBounds.channels),
  height: z.int().min(1).max(imageBounds.side),
  width: z.int().min(1).max(imageBounds.side),
  classes: z.array(z.string()).min(2).max(imageBounds.classes),
  labelBytes: z.int().min(1).max(2),
  mean: z.array(z.number()).optional(),
  std: z.array(z.number()).optional(),
  shards: z.strictObject({ train: shardList, test: shardList }),
}).superRefine(({ channels, height, width, classes, labelBytes, mean, std, shards }, context) => {
  const refuse = (key: string, message: string) => context.addIssue({ code: "custom", path: [key], message });
  if ((mean === undefined) !== (std === undefined)) refuse("std", "mean and std, or neither");
  for (const [key, values] of [["mean", mean], ["std", std]] as const) {
    if (values === undefined) continue;
    const text = `[${values.slice(0, 4).join(", ")}]`, wanted = normalizationWanted(key, channels);
    if (!isNormalization(values, key, channels)) refuse(key, `${text}, where it takes ${wanted}`);
  }
  const numbers = channels * height * width;
  if (numbers > imageBounds.numbers) {
    refuse("height", `at most ${imageBounds.numbers} numbers per image, here ${numbers}`);
  }
  const name = findTwice(classes), file = findTwice(Object.values(shards).flat().map(({ file }) => file));
  if (name !== undefined) refuse("classes", `two classes are named ${JSON.stringify(name)}`);
  if (file !== undefined) refuse("shards", `${JSON.stringify(file)} is there twice`);
  if (classes.length > 256 ** labelBytes) refuse("labelBytes", `2 for ${classes.length} classes`);
});

/** The content of `dataset.json`. */
export interface ShardIndex {
  readonly format: "winnow-shards";
  readonly version: 1;
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** The name of each class. */
  readonly classes: readonly string[];
  /** Bytes of a record's label, low byte first: 1, or 2 for more than 256 classes. */
  readonly labelBytes: number;
  /** Mean of each channel, where 255 is 1. Default: mean and std are measured when the data set is opened. */
  readonly mean?: readonly number[] | undefined;
  /** Standard deviation of each channel where 255 is 1. */
  readonly std?: readonly number[] | undefined;
  readonly shards: Readonly<Record<"train" | "test", readonly { file: string; count: number }[]>>;
}

/** The location of shards, and their reader. */
export interface ShardSource {
  readonly files: Files;
  readonly folder: string;
  /** Starts a block reader; `openDenoBlockReader` in Deno. */
  readonly openReader: () => BlockReader;
}

/**
 * Parses an index.
 *
 * @throws {FormatError} If it is no JSON, or a key is missing, unknown or has a value that is not allowed.
 */
export function parseShardIndex(bytes: Uint8Array, path: string): ShardIndex {
  const refuse = (current: string, wanted: string) =>
    new FormatError({ act: "read", thing: path, current, wanted });
  const value = parseJson(bytes, { act: "read", thing: path, wanted: "the index of a data set as JSON" });
  const result = indexSchema.safeParse(value);
  if (result.success) return result.data;
  const { at, current, wanted = "an index as in docs/formats.md" } = describeRefusal(
    indexSchema,
    value,
    result.error,
  );
  throw refuse(`at ${at || "its top"}: ${current}`, wanted);
}

/**
 * Opens a folder of shards. Only the index is read, and the sizes of the files; mean and standard deviation of the
 * training images are measured if the index does not have them.
 *
 * @throws {FileError} If a shard is absent.
 * @throws {FormatError} If the index is broken, a shard's size is not what the index says, or a file is there twice.
 */
export async function openShards(where: ShardSource): Promise<Dataset<StreamedSplit>> {
  const { files, folder } = where, path = `${folder}/${SHARD_INDEX_FILE}`;
  const index = parseShardIndex(await files.read(path, { maxBytes: maxJsonBytes }), path);
  const { name, channels, height, width, classes, mean, std, shards, labelBytes } = index;
  const layout = { labelBytes, imageBytes: channels * height * width, classes: classes.length };
  const shardsOf = (use: "train" | "test") =>
    shards[use].map(({ file, count }) => ({ path: `${folder}/${file}`, count }));
  const pathsOf = (use: "train" | "test") => shardsOf(use).map(({ path }) => path);
  await checkDistinctFiles(files, { training: pathsOf("train"), test: pathsOf("test") });
  const split = (use: "train" | "test") => openSplit(shardsOf(use), layout, where);
  const train = await split("train"), test = await split("test");
  const statistics = mean && std ? { mean, std } : await measureStatistics(train, channels);
  return { name, source: folder, channels, height, width, classes, train, test, ...statistics };
}

/**
 * A split of shards, with their sizes checked.
 *
 * @throws {FileError} If a shard is absent.
 * @throws {FormatError} If its size is another.
 */
export async function openSplit(
  shards: readonly Shard[],
  layout: RecordLayout,
  { files, openReader }: Omit<ShardSource, "folder">,
): Promise<StreamedSplit> {
  const record = layout.labelBytes + layout.imageBytes;
  for (const { path, count } of shards) {
    const found = await files.sizeBytes(path), sizeBytes = count * record;
    if (found === undefined) {
      const current = "there is no such path", wanted = `${count} records of ${record} bytes`;
      throw new FileError({ act: "read", thing: path, current, wanted });
    }
    if (found !== sizeBytes) {
      throw toError(sizeFailure({ path, sizeBytes, first: 0, count }, found, record).failure);
    }
  }
  return splitOfShards({ shards, layout, openReader });
}
