/**
 * Writes a data set as shards. What was written before it was stopped is taken as it is when it goes on.
 *
 * @module
 */
import { z } from "zod";
import { FileError, FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import { maxJsonBytes, parseJson } from "../json.ts";
import { channelStatistics, countValues } from "./dataset.ts";
import { SHARD_INDEX_FILE, type ShardIndex } from "./shards.ts";
import { findCopies, type ImageFacts } from "./image_options.ts";
import type { ImageSplit } from "./split.ts";

/** Examples that were read. */
export interface ReadRecords {
  readonly split: ImageSplit;
  /** Files that were left out. */
  readonly skipped: readonly string[];
  /** The file of each example and the digest of its content, where each has a file of its own. */
  readonly paths?: readonly string[];
  readonly digests?: readonly string[];
}

/** Examples that are read a part at a time. */
export interface RecordSource {
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly classes: readonly string[];
  /** Examples of each split. */
  readonly counts: Readonly<Record<"train" | "test", number>>;
  /** The same for the same examples in the same order. */
  readonly fingerprint: string;
  /** Reads some examples; fewer where files are damaged and left out, which are named. */
  read(
    use: "train" | "test",
    part: { readonly first: number; readonly count: number; readonly onRead: (done: number) => void },
  ): Promise<ReadRecords>;
}

/** What became of the examples. */
export interface WrittenShards {
  readonly index: ShardIndex;
  /** Examples of each class, in the order of the classes. */
  readonly classCounts: Readonly<Record<"train" | "test", readonly number[]>>;
  /** Files that were left out. */
  readonly skipped: readonly string[];
  /** Shards that were there already. */
  readonly kept: number;
  /** Test images that are training images; of shards that were there already nothing is known. */
  readonly copies: ImageFacts["copies"];
}

/** The file that says how far the writing is. */
export const progressFile = "writing.json";

/** Bytes of a shard, at most, where an example has fewer. */
const shardBytes = 2 ** 26;

const count = z.int().min(0);
const progressSchema = z.strictObject({
  format: z.literal("winnow-writing"),
  fingerprint: z.string(),
  shardBytes: count,
  done: z.array(z.strictObject({
    use: z.enum(["train", "test"]),
    file: z.string(),
    count,
    classCounts: z.array(count),
    /** How often each value occurs in each channel; of test images nothing. */
    values: z.array(z.array(count)),
    skipped: z.array(z.string()),
  })),
});

type Progress = z.output<typeof progressSchema>;

/** Reads how far an earlier writing came; undefined where there was none. */
async function readProgress(files: Files, folder: string): Promise<Progress | undefined> {
  const path = `${folder}/${progressFile}`;
  if (await files.sizeBytes(path) === undefined) return undefined;
  const bytes = await files.read(path, { maxBytes: maxJsonBytes });
  const { success, data } = progressSchema.safeParse(
    parseJson(bytes, { act: "go on with", thing: path, wanted: "what winnow wrote there" }),
  );
  if (success) return data;
  const current = "it is not what winnow wrote";
  throw new FormatError({
    act: "go on with",
    thing: path,
    current,
    wanted: "an empty folder, or that file as it was",
  });
}

/** True for a folder in which shards were begun and not ended. */
export async function isBegun(files: Files, folder: string): Promise<boolean> {
  return await files.sizeBytes(`${folder}/${progressFile}`) !== undefined;
}

/** Records of one split: the label, then the pixels. */
function encodeRecords({ pixels, labels, count }: ImageSplit, labelBytes: number): Uint8Array {
  const size = pixels.length / count, record = labelBytes + size, bytes = new Uint8Array(count * record);
  for (let i = 0; i < count; i++) {
    bytes[i * record] = labels[i] & 255;
    if (labelBytes === 2) bytes[i * record + 1] = labels[i] >> 8;
    bytes.set(pixels.subarray(i * size, (i + 1) * size), i * record + labelBytes);
  }
  return bytes;
}

/**
 * Writes the shards of a source and their index to a folder that exists, one shard after the other, each whole or not at all.
 *
 * @param options.onProgress Hears how many examples of how many were written.
 * @param options.signal Ends the call between two shards, with its reason; it goes on when it is called again.
 * @throws {FileError} If the folder holds a part of another data set, or cannot be written to.
 * @throws {FormatError} If an example cannot be read.
 */
export async function writeShards(
  source: RecordSource,
  { files, folder, onProgress, signal, maxShardBytes = shardBytes }: {
    readonly files: Files;
    readonly folder: string;
    readonly onProgress?: ((done: number, total: number) => void) | undefined;
    readonly signal?: AbortSignal | undefined;
    readonly maxShardBytes?: number;
  },
): Promise<WrittenShards> {
  const { name, channels, height, width, classes, counts, fingerprint } = source;
  const labelBytes = classes.length <= 256 ? 1 : 2, imageBytes = channels * height * width;
  const rows = Math.max(1, Math.floor(maxShardBytes / (labelBytes + imageBytes)));
  const earlier = await readProgress(files, folder);
  if (earlier && (earlier.fingerprint !== fingerprint || earlier.shardBytes !== maxShardBytes)) {
    const current = "a part of another data set, or of this one with other options, was written there";
    throw new FileError({ act: "go on in", thing: folder, current, wanted: "another folder" });
  }
  const done = [...earlier?.done ?? []], kept = done.length, total = counts.train + counts.test;
  const noFiles = () => ({ paths: [] as string[], digests: [] as string[] });
  const seen = { train: noFiles(), test: noFiles() };
  let written = 0, next = 0;
  for (const use of ["train", "test"] as const) {
    for (let first = 0; first < counts[use]; first += rows, next++) {
      const wanted = Math.min(rows, counts[use] - first);
      if (next >= kept) {
        signal?.throwIfAborted();
        const onRead = (read: number) => onProgress?.(written + read, total);
        const { split, skipped, paths = [], digests = [] } = await source.read(use, {
          ...{ first, count: wanted, onRead },
        });
        seen[use].paths.push(...paths);
        seen[use].digests.push(...digests);
        const file = `${use}-${first / rows}.bin`;
        const classCounts = classes.map(() => 0);
        for (const label of split.labels) classCounts[label]++;
        const values = use === "test" ? [] : Array.from({ length: channels }, () => new Float64Array(256));
        if (use === "train") countValues(split.pixels, values as Float64Array[], height * width);
        if (split.count > 0) await files.write(`${folder}/${file}`, encodeRecords(split, labelBytes));
        done.push({
          ...{ use, file, count: split.count, classCounts, skipped: [...skipped] },
          values: values.map((row) => [...row]),
        });
        const progress: Progress = { format: "winnow-writing", fingerprint, shardBytes: maxShardBytes, done };
        await files.write(`${folder}/${progressFile}`, new TextEncoder().encode(JSON.stringify(progress)));
      }
      written += wanted;
      onProgress?.(written, total);
    }
  }
  const shardsOf = (use: "train" | "test") => done.filter((shard) => shard.use === use && shard.count > 0);
  for (const use of ["train", "test"] as const) {
    if (shardsOf(use).length > 0) continue;
    const current = `none of the images for ${use} can be read`;
    throw new FormatError({ act: "use images of", thing: name, current, wanted: "one at least" });
  }
  const sums = Array.from({ length: channels }, () => new Float64Array(256));
  for (const { values } of shardsOf("train")) {
    values.forEach((row, c) => row.forEach((value, i) => sums[c][i] += value));
  }
  const listed = (use: "train" | "test") => shardsOf(use).map(({ file, count }) => ({ file, count }));
  const index: ShardIndex = {
    ...{ format: "winnow-shards", version: 1, name, channels, height, width, classes, labelBytes },
    ...channelStatistics(sums),
    shards: { train: listed("train"), test: listed("test") },
  };
  const text = `${JSON.stringify(index, null, 2)}\n`;
  await files.write(`${folder}/${SHARD_INDEX_FILE}`, new TextEncoder().encode(text));
  await files.remove(`${folder}/${progressFile}`);
  const addUp = (use: "train" | "test") =>
    classes.map((_, label) => shardsOf(use).reduce((sum, { classCounts }) => sum + classCounts[label], 0));
  return {
    ...{ index, kept, copies: findCopies(seen.train, seen.test) },
    ...{ skipped: done.flatMap(({ skipped }) => skipped) },
    classCounts: { train: addUp("train"), test: addUp("test") },
  };
}
