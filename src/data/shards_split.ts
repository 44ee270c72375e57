/**
 * A split that lies in files and is read while it is used.
 *
 * @module
 */

import { ShapeError } from "../errors.ts";
import type { BlockReader, BlockRequest, FileRun, RecordLayout } from "./shards_reader.ts";

/** A file of records. */
export interface Shard {
  /** The file's path. */
  readonly path: string;
  /** Records in it, at least 1. */
  readonly count: number;
}

/** Neighbouring records of one shard. */
export interface RecordRun {
  /** The index of the shard. */
  readonly shard: number;
  /** The first record. */
  readonly first: number;
  /** Records, at least 1. */
  readonly count: number;
}

/** A split of labelled images in files. */
export interface StreamedSplit {
  /** The files. */
  readonly shards: readonly Shard[];
  /** The layout of a record. */
  readonly layout: RecordLayout;
  /** The records of the split, in its order. */
  readonly runs: readonly RecordRun[];
  /** N, at least 1. */
  readonly count: number;
  /** Starts a block reader. */
  readonly openReader: () => BlockReader;
}

/** A split of all records of shards. */
export function splitOfShards(
  { shards, layout, openReader }: Pick<StreamedSplit, "shards" | "layout" | "openReader">,
): StreamedSplit {
  const runs = shards.map(({ count }, shard) => ({ shard, first: 0, count }));
  return { shards, layout, runs, count: runs.reduce((sum, { count }) => sum + count, 0), openReader };
}

/** Takes rows of a split: the first rows, or the listed ones. Nothing is read. */
export function takeStreamed(split: StreamedSplit, rows: Uint32Array | number): StreamedSplit {
  const runs: RecordRun[] = [];
  if (typeof rows === "number") {
    let left = rows;
    for (const run of split.runs) {
      if (left > 0) runs.push({ ...run, count: Math.min(left, run.count) });
      left -= run.count;
    }
    return { ...split, runs, count: rows };
  }
  const starts = findRunStarts(split.runs);
  let at = 0;
  for (const row of rows) {
    if (!(Number.isInteger(row) && row >= 0 && row < split.count)) {
      const wanted = `rows of 0 to ${split.count - 1}`;
      throw new ShapeError({ act: "take", thing: "rows of a split", current: `row ${row}`, wanted });
    }
    // Rows are usually taken in order.
    if (row < starts[at]) at = 0;
    while (row >= starts[at + 1]) at++;
    const { shard, first } = split.runs[at], record = first + row - starts[at], last = runs.at(-1);
    if (last?.shard === shard && last.first + last.count === record) {
      runs[runs.length - 1] = { ...last, count: last.count + 1 };
    } else runs.push({ shard, first: record, count: 1 });
  }
  return { ...split, runs, count: rows.length };
}

/** The row at which each run begins, and the number of rows. */
function findRunStarts(runs: readonly RecordRun[]): Float64Array {
  const starts = new Float64Array(runs.length + 1);
  for (const [i, { count }] of runs.entries()) starts[i + 1] = starts[i] + count;
  return starts;
}

/** The file runs to request for some of a split's records. */
export function requestRuns(
  { shards, layout }: Pick<StreamedSplit, "shards" | "layout">,
  runs: readonly RecordRun[],
  capacity: number,
): BlockRequest {
  const record = layout.labelBytes + layout.imageBytes;
  const files = runs.map(({ shard, first, count }): FileRun => {
    const { path, count: records } = shards[shard];
    return { path, sizeBytes: records * record, first, count };
  });
  return { layout, runs: files, capacity };
}
