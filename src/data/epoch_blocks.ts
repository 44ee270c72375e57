/**
 * The order in which an epoch reads and visits the records of shards.
 *
 * A split is cut into chunks of neighbouring records, which are read in one piece. An epoch shuffles the chunks of all
 * shards, joins a few of them to a block, and shuffles the records of the block. Every record is visited exactly once
 * per epoch. The records of a batch come from about 16 regions of the split, not from as many as it has rows.
 *
 * @module
 */

import { openRandomStream, shuffledIndices } from "../random.ts";
import type { RecordRun, StreamedSplit } from "./shards_split.ts";

/** How many records are read in one piece and shuffled together. */
export interface BlockSizes {
  /** Maximum records per chunk. */
  readonly chunkRows: number;
  /** Maximum records per block, a multiple of 4. */
  readonly blockRows: number;
}

const chunkBytes = 256 * 1024, chunksPerBlock = 16;

/** Chunks of about 256 KiB and blocks of 16 chunks; they depend only on the size of an image in bytes. */
export function chooseBlockSizes(imageBytes: number): BlockSizes {
  const chunkRows = Math.max(1, Math.floor(chunkBytes / imageBytes));
  return { chunkRows, blockRows: chunksPerBlock * chunkRows };
}

/** The order of a pass over a split. */
export interface PassOrder {
  readonly seed: number;
  /** Zero-based epoch. */
  readonly epoch: number;
  /** False visits the records in the order of the split. */
  readonly shuffle: boolean;
}

/** Records that are read together. */
export interface PlannedBlock {
  /** The records to read, in this order. */
  readonly runs: readonly RecordRun[];
  /** Indices in the block, in the order of visiting. */
  readonly order: Uint32Array;
  /** True for the last block of the pass. */
  readonly isLast: boolean;
}

/** The chunks of a split: shard, first record and number of records of each, one after the other. */
export function cutChunks({ runs }: StreamedSplit, { chunkRows }: BlockSizes): Uint32Array {
  const chunks = new Uint32Array(3 * runs.reduce((sum, { count }) => sum + Math.ceil(count / chunkRows), 0));
  let at = 0;
  for (const { shard, first, count } of runs) {
    for (let start = 0; start < count; start += chunkRows) {
      chunks.set([shard, first + start, Math.min(chunkRows, count - start)], at);
      at += 3;
    }
  }
  return chunks;
}

/** Plans the blocks of a pass over chunks, one at a time. The same order gives the same blocks on every machine. */
export function* planBlocks(
  chunks: Uint32Array,
  { seed, epoch, shuffle, blockRows }: PassOrder & Pick<BlockSizes, "blockRows">,
): Generator<PlannedBlock> {
  const count = chunks.length / 3, stream = openRandomStream(seed, `shards of epoch ${epoch}`);
  const chunkOrder = shuffle ? shuffledIndices(count, stream) : undefined;
  for (let next = 0; next < count;) {
    const runs: RecordRun[] = [];
    let rows = 0;
    for (; next < count; next++) {
      const [shard, first, length] = chunks.subarray(3 * (chunkOrder?.[next] ?? next));
      if (rows + length > blockRows) break;
      runs.push({ shard, first, count: length });
      rows += length;
    }
    const order = shuffle ? shuffledIndices(rows, stream) : Uint32Array.from({ length: rows }, (_, i) => i);
    yield { runs, order, isLast: next === count };
  }
}
