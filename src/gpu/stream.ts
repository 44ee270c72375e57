/**
 * A split that stays in files. Another thread reads its blocks ahead. While steps run, blocks are uploaded into a
 * ring of slots on the device, and batches are made from the ring as from a resident split.
 *
 * @module
 */
import { checkBatches } from "../data/batches.ts";
import {
  type BlockSizes,
  chooseBlockSizes,
  cutChunks,
  type PassOrder,
  planBlocks,
  type PlannedBlock,
} from "../data/epoch_blocks.ts";
import type { Block, BlockReader } from "../data/shards_reader.ts";
import { requestRuns, type StreamedSplit } from "../data/shards_split.ts";
import { disposedError } from "../errors.ts";
import { countQuads } from "../shape.ts";
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";
import type { Examples, PassOptions } from "./examples.ts";
import { getMaxBufferBytes } from "./fitting.ts";
import { createImageBuffers, type ImageBuffer, type ImageTask } from "./images.ts";

/** Blocks that are being read or wait to be uploaded: all the host memory of a stream. */
export const blocksAhead = 4;

/** Bytes to upload before waiting for the device: pending uploads take host memory too. */
const maxUploadedBytes = 64 * 2 ** 20;

/** A requested block. */
interface AwaitedBlock {
  /** The name of its pass. Passes with equal names are equal. */
  readonly pass: string;
  readonly isFirst: boolean;
  readonly plan: PlannedBlock;
  readonly read: Promise<Block>;
}

/** Images and labels of a split in files. The device holds some blocks at a time. */
export class StreamedImages implements Examples {
  readonly areImages = true;
  /** Examples in the split. */
  readonly count: number;
  /** Maximum rows of a batch. */
  readonly batch: number;
  /** Maximum rows of a `select`. */
  readonly maxRows: number;
  readonly #gpu: Gpu;
  readonly #split: StreamedSplit;
  readonly #sizes: BlockSizes;
  readonly #chunks: Uint32Array;
  readonly #slots: number;
  readonly #buffers: Readonly<Record<ImageBuffer, DeviceBuffer>>;
  #reader: BlockReader | undefined;
  #plans: Iterator<Omit<AwaitedBlock, "read">> | undefined;
  #awaited: AwaitedBlock[] = [];
  readonly #free: ArrayBuffer[] = [];
  #uploads = 0;
  #uploadedBytes = 0;
  #isDisposed = false;

  /**
   * Streams a split of a data set for batches of `batch` rows, and sometimes of up to `maxRows`, or as many as fit in
   * one buffer.
   */
  constructor(gpu: Gpu, split: StreamedSplit, {
    dataset,
    batch,
    maxRows = batch,
    sizes = chooseBlockSizes(split.layout.imageBytes),
  }: {
    readonly dataset: ImageTask;
    readonly batch: number;
    readonly maxRows?: number;
    /** The sizes of chunks and blocks. */
    readonly sizes?: BlockSizes;
  }) {
    this.#gpu = gpu;
    this.#split = split;
    this.#sizes = sizes;
    this.#chunks = cutChunks(split, sizes);
    this.count = split.count;
    // Every block but the last of a pass is full, up to the size of a chunk. A batch may touch the end of one block,
    // several whole blocks, and the start of another.
    const minRows = sizes.blockRows - sizes.chunkRows + 1;
    const maxSlots = Math.floor(getMaxBufferBytes(gpu) / (sizes.blockRows * split.layout.imageBytes));
    this.maxRows = Math.max(1, Math.min(maxRows, (maxSlots - 2) * minRows));
    this.batch = Math.min(batch, this.maxRows);
    this.#slots = Math.ceil(this.maxRows / minRows) + 2;
    this.#buffers = createImageBuffers(gpu, dataset, {
      held: this.#slots * sizes.blockRows,
      rows: this.maxRows,
    });
  }

  /**
   * @throws {ShapeError} If no batch would be left.
   * @throws {FileError} If a shard is absent, not readable, or has changed.
   * @throws {FormatError} If a shard is of another size than expected, or has a label of no class.
   */
  async *batches(pass: PassOptions): AsyncGenerator<Uint32Array> {
    const { batch, dropLast, perStep = 1, from = 0 } = pass, rowsPerStep = batch * perStep;
    checkBatches({ ...pass, count: this.count, batch: rowsPerStep });
    let passed = await this.#begin(pass, from * rowsPerStep);
    // If the rows of the last blocks fill no step, these blocks are skipped, because those of the next epoch follow.
    let left = perStep * (Math.floor(this.count / rowsPerStep) - from);
    let rows = new Uint32Array(batch), filled = 0;
    for (let isLast = false; !isLast;) {
      const block = await this.#uploadNext();
      isLast = block.isLast;
      for (const record of block.order.subarray(passed)) {
        rows[filled++] = block.first + record;
        if (filled < batch) continue;
        if (left-- > 0) yield rows;
        rows = new Uint32Array(batch);
        filled = 0;
      }
      passed = 0;
    }
    if (filled > 0 && !dropLast) yield rows.subarray(0, filled);
  }

  /** Selects the examples of the next batch. Further rows of the step keep their previous examples. */
  select(rows: Uint32Array): void {
    this.#buffers.rows.write(rows);
  }

  /** The buffer behind an input of the plan; undefined if this split has no such input. */
  input(name: string): DeviceBuffer | undefined {
    return Object.hasOwn(this.#buffers, name) ? this.#buffers[name as ImageBuffer] : undefined;
  }

  /**
   * Makes the requested blocks those of a pass, without the blocks before a row. Returns how many rows of the first
   * block come before that row.
   */
  async #begin(order: PassOrder, row: number): Promise<number> {
    const [next] = this.#awaited;
    if (row === 0 && next?.isFirst && next.pass === namePass(order)) return 0;
    // A pass was left early, or an unexpected pass follows. The memory of blocks returns when they are read.
    for (const { read } of this.#awaited.splice(0)) {
      const block = await read.catch(() => undefined);
      if (block) this.#free.push(block.memory);
    }
    this.#plans = planPasses(this.#chunks, order, this.#sizes);
    let first = this.#plans.next().value, before = row;
    while (before >= first.plan.order.length) {
      before -= first.plan.order.length;
      first = this.#plans.next().value;
    }
    this.#ask(first);
    this.#askAhead();
    return before;
  }

  #askAhead(): void {
    while (this.#awaited.length < blocksAhead) this.#ask(this.#plans!.next().value);
  }

  #ask({ pass, isFirst, plan }: Omit<AwaitedBlock, "read">): void {
    if (this.#isDisposed) throw disposedError("data set", this.#split.shards[0].path);
    this.#reader ??= this.#split.openReader();
    const request = requestRuns(this.#split, plan.runs, this.#sizes.blockRows);
    const read = this.#reader.read(request, this.#free.pop());
    // A failure is reported to whoever awaits the block, which may be nobody.
    read.catch(() => {});
    this.#awaited.push({ pass, isFirst, plan, read });
  }

  /** Uploads the next block. Returns its first slot, the order of its slots, and whether it ends the pass. */
  async #uploadNext(): Promise<{ first: number; order: Uint32Array; isLast: boolean }> {
    const { plan, read } = this.#awaited.shift()!;
    const { memory, labels } = await read;
    const { imageBytes } = this.#split.layout;
    const first = this.#uploads++ % this.#slots * this.#sizes.blockRows;
    const bytes = new Uint8Array(memory, 0, 4 * countQuads(labels.length * imageBytes));
    if (this.#uploadedBytes + bytes.length > maxUploadedBytes) {
      // Uploads begin with a submit, even an empty one.
      this.#gpu.device.queue.submit([]);
      await this.#gpu.device.queue.onSubmittedWorkDone();
      this.#uploadedBytes = 0;
    }
    this.#uploadedBytes += bytes.length;
    // The queue keeps the order: submitted steps read the previous block, later steps read this one.
    this.#buffers.images.write(bytes, first * imageBytes);
    this.#buffers.classes.write(labels, 4 * first);
    this.#free.push(memory);
    this.#askAhead();
    return { first, order: plan.order, isLast: plan.isLast };
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#reader?.[Symbol.dispose]();
    for (const buffer of Object.values(this.#buffers)) buffer[Symbol.dispose]();
  }
}

/** Passes of equal names visit the same examples in the same order. */
function namePass({ seed, epoch, shuffle }: PassOrder): string {
  return shuffle ? `epoch ${epoch} of seed ${seed}` : "in order";
}

/** The blocks of a pass, and then of the next epochs. */
function* planPasses(
  chunks: Uint32Array,
  order: PassOrder,
  { blockRows }: BlockSizes,
): Generator<Omit<AwaitedBlock, "read">, never> {
  for (let { epoch } = order;; epoch++) {
    const pass = { ...order, epoch }, name = namePass(pass);
    let isFirst = true;
    for (const plan of planBlocks(chunks, { ...pass, blockRows })) {
      yield { pass: name, isFirst, plan };
      isFirst = false;
    }
  }
}
