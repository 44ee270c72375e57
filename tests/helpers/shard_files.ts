/**
 * Data sets as shards, and a reader of blocks that can be watched, for tests.
 *
 * @module
 */
import type { Dataset, ImageSplit } from "../../src/data/dataset.ts";
import type { ShardIndex } from "../../src/data/shards.ts";
import {
  type Block,
  blockBytes,
  type BlockReader,
  type BlockRequest,
  ReadFailure,
  readRecords,
  toError,
} from "../../src/data/shards_reader.ts";

/** The records of a split from one row to another, labels of `labelBytes` bytes before the pixels. */
function shardOf(split: ImageSplit, { from, to, labelBytes }: {
  readonly from: number;
  readonly to: number;
  readonly labelBytes: number;
}): Uint8Array<ArrayBuffer> {
  const size = split.pixels.length / split.count, record = labelBytes + size;
  const bytes = new Uint8Array((to - from) * record);
  for (let row = from; row < to; row++) {
    const start = (row - from) * record;
    bytes[start] = split.labels[row] & 255;
    if (labelBytes === 2) bytes[start + 1] = split.labels[row] >> 8;
    bytes.set(split.pixels.subarray(row * size, (row + 1) * size), start + labelBytes);
  }
  return bytes;
}

/** The files of a data set as shards of at most so many records, by name. */
export function shardFiles(
  dataset: Dataset,
  { shardRows, labelBytes = 1, ...changes }: { readonly shardRows: number } & Partial<ShardIndex>,
): Record<string, Uint8Array<ArrayBuffer>> {
  const files: Record<string, Uint8Array<ArrayBuffer>> = {};
  const write = (use: "train" | "test") => {
    const { count } = dataset[use], shards: { file: string; count: number }[] = [];
    for (let from = 0; from < count; from += shardRows) {
      const to = Math.min(count, from + shardRows), file = `${use}-${shards.length}.bin`;
      files[file] = shardOf(dataset[use], { from, to, labelBytes });
      shards.push({ file, count: to - from });
    }
    return shards;
  };
  const { name, channels, height, width, classes, mean, std } = dataset;
  const index: ShardIndex = {
    ...{ format: "winnow-shards", version: 1, name, channels, height, width, classes, labelBytes, mean, std },
    shards: { train: write("train"), test: write("test") },
    ...changes,
  };
  files["dataset.json"] = new TextEncoder().encode(JSON.stringify(index));
  return files;
}

/** What a reader was asked for so far. */
export interface ReaderRecord {
  readonly requests: BlockRequest[];
  /** All memory that it handed out. */
  readonly memories: Set<ArrayBuffer>;
  /** Blocks asked for whose memory has not come back, now and at most. */
  outstanding: number;
  maxOutstanding: number;
  opened: number;
  closed: number;
}

/** A reader of files in memory that answers a turn of the event loop later, and a record of what it did. */
export function watchedReader(entries: ReadonlyMap<string, Uint8Array>) {
  const record: ReaderRecord = {
    requests: [],
    memories: new Set(),
    outstanding: 0,
    maxOutstanding: 0,
    opened: 0,
    closed: 0,
  };
  const open = (): BlockReader => {
    record.opened++;
    return {
      async read(request, memory): Promise<Block> {
        record.requests.push(request);
        if (memory) record.outstanding--;
        record.maxOutstanding = Math.max(record.maxOutstanding, ++record.outstanding);
        const kept = memory ?? new ArrayBuffer(blockBytes(request));
        record.memories.add(kept);
        await new Promise((resolve) => setTimeout(resolve, 0));
        try {
          const labels = readRecords(request, kept, ({ path }, offsetBytes, target) => {
            target.set(entries.get(path)!.subarray(offsetBytes, offsetBytes + target.length));
          });
          return { memory: kept, labels };
        } catch (error) {
          throw error instanceof ReadFailure ? toError(error.failure) : error;
        }
      },
      [Symbol.dispose]: () => void record.closed++,
    };
  };
  return { open, record };
}
