/**
 * Passes over a streamed split on the host: into memory, its labels, and the statistics of its pixels.
 *
 * @module
 */

import { channelStatistics, countValues, type ImageSplit } from "./dataset.ts";
import { chooseBlockSizes, cutChunks, planBlocks } from "./epoch_blocks.ts";
import type { Block } from "./shards_reader.ts";
import { requestRuns, type StreamedSplit } from "./shards_split.ts";

/** Reads all records of a split in its order, two blocks at a time in memory. */
async function* readInOrder(
  split: StreamedSplit,
): AsyncGenerator<{ images: Uint8Array; labels: Uint32Array }> {
  using reader = split.openReader();
  const sizes = chooseBlockSizes(split.layout.imageBytes);
  const plans = planBlocks(cutChunks(split, sizes), { ...sizes, seed: 0, epoch: 0, shuffle: false });
  const ask = (memory?: ArrayBuffer): Promise<Block> | undefined => {
    const { value } = plans.next();
    if (!value) return undefined;
    const read = reader.read(requestRuns(split, value.runs, sizes.blockRows), memory);
    // A failure is reported to whoever awaits the block, which may be nobody.
    read.catch(() => {});
    return read;
  };
  let ahead = ask(), free: ArrayBuffer | undefined;
  while (ahead) {
    const next = ask(free);
    const { memory, labels } = await ahead;
    yield { images: new Uint8Array(memory, 0, labels.length * split.layout.imageBytes), labels };
    free = memory;
    ahead = next;
  }
}

/** Labels of one byte each if they fit, otherwise of two. */
function labelArray({ count, layout }: StreamedSplit): Uint8Array | Uint16Array {
  return layout.classes <= 256 ? new Uint8Array(count) : new Uint16Array(count);
}

/** Reads a split into memory. */
export async function loadStreamed(split: StreamedSplit): Promise<ImageSplit> {
  const pixels = new Uint8Array(split.count * split.layout.imageBytes), labels = labelArray(split);
  let row = 0;
  for await (const block of readInOrder(split)) {
    pixels.set(block.images, row * split.layout.imageBytes);
    labels.set(block.labels, row);
    row += block.labels.length;
  }
  return { pixels, labels, count: split.count };
}

/** Reads the label of every example of a split, in its order. */
export async function readLabels(split: StreamedSplit): Promise<Uint8Array | Uint16Array> {
  const labels = labelArray(split);
  let row = 0;
  for await (const block of readInOrder(split)) {
    labels.set(block.labels, row);
    row += block.labels.length;
  }
  return labels;
}

/** Mean and standard deviation of each channel (C) of a split, in units where 255 is 1. */
export async function measureStatistics(
  split: StreamedSplit,
  channels: number,
): Promise<{ readonly mean: readonly number[]; readonly std: readonly number[] }> {
  const counts = Array.from({ length: channels }, () => new Float64Array(256));
  for await (const { images } of readInOrder(split)) {
    countValues(images, counts, split.layout.imageBytes / channels);
  }
  return channelStatistics(counts);
}
