/**
 * A split that stays in files: blocks of it are read ahead in another thread and uploaded, while steps run, into a ring
 * of places on the device, out of which batches are made as out of a resident split.
 *
 * @module
 */
import { checkBatches } from "../data/batches.ts";
import {
  type BlockSizes,
  blockSizesOf,
  chunksOf,
  type PassOrder,
  planBlocks,
  type PlannedBlock,
} from "../data/shards_order.ts";
import type { Block, BlockReader } from "../data/shards_reader.ts";
import { requestRuns, type StreamedSplit } from "../data/shards_split.ts";
import { disposedError } from "../errors.ts";
import { quadsOf } from "../shape.ts";
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";
import type { Examples, PassOptions } from "./examples.ts";
import { maxBufferBytesOf } from "./fitting.ts";
import { createImageBuffers, type ImageBuffer, type ImageTask } from "./images.ts";

/** Blocks that are being read or wait to be uploaded, which is all the host memory that a stream takes. */
export const blocksAhead = 4;

/** Bytes that are uploaded before the device is waited for: uploads that wait for it lie in host memory too. */
const maxUploadedBytes = 64 * 2 ** 20;

/** A block that was asked for. */
interface AwaitedBlock {
  /** Which pass it is of; passes with equal names are equal. */
  readonly pass: string;
  readonly isFirst: boolean;
  readonly plan: PlannedBlock;
  readonly read: Promise<Block>;
}

/** Images and labels of a split in files, of which the device holds some blocks at a time. */
export class StreamedImages implements Examples {
  readonly areImages = true;
  /** Examples in the split. */
  readonly count: number;
  /** The most rows of a batch. */
  readonly batch: number;
  /** The most rows that `select` takes. */
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
   * Streams a split of a data set for batches of `batch` rows, and now and then of up to `maxRows`; or of as many as the
   * device holds in one buffer.
   */
  constructor(gpu: Gpu, split: StreamedSplit, {
    dataset,
    batch,
    maxRows = batch,
    sizes = blockSizesOf(split.layout.imageBytes),
  }: {
    readonly dataset: ImageTask;
    readonly batch: number;
    readonly maxRows?: number;
    /** How much is read and shuffled together. */
    readonly sizes?: BlockSizes;
  }) {
    this.#gpu = gpu;
    this.#split = split;
    this.#sizes = sizes;
    this.#chunks = chunksOf(split, sizes);
    this.count = split.count;
    // A block but the last of a pass is full, less what the next chunk would take. A batch may touch the end of one, as
    // many as it fills, and the start of another.
    const fewest = sizes.blockRows - sizes.chunkRows + 1;
    const maxSlots = Math.floor(maxBufferBytesOf(gpu) / (sizes.blockRows * split.layout.imageBytes));
    this.maxRows = Math.max(1, Math.min(maxRows, (maxSlots - 2) * fewest));
    this.batch = Math.min(batch, this.maxRows);
    this.#slots = Math.ceil(this.maxRows / fewest) + 2;
    this.#buffers = createImageBuffers(gpu, dataset, {
      held: this.#slots * sizes.blockRows,
      rows: this.maxRows,
    });
  }

  /**
   * @throws {ShapeError} If no batch would be left.
   * @throws {FileError} If a shard is absent, not readable, or has changed.
   * @throws {FormatError} If a shard is of another size than expected, or holds a label of no class.
   */
  async *batches(pass: PassOptions): AsyncGenerator<Uint32Array> {
    const { batch, dropLast, perStep = 1, from = 0 } = pass, rowsPerStep = batch * perStep;
    checkBatches({ ...pass, count: this.count, batch: rowsPerStep });
    let passed = await this.#begin(pass, from * rowsPerStep);
    // The last blocks are passed over where their rows fill no step, as those of the next epoch follow them.
    let left = perStep * (Math.floor(this.count / rowsPerStep) - from);
    let rows = new Uint32Array(batch), filled = 0;
    for (let isLast = false; !isLast;) {
      const places = await this.#uploadNext();
      isLast = places.isLast;
      for (const place of places.order.subarray(passed)) {
        rows[filled++] = places.first + place;
        if (filled < batch) continue;
        if (left-- > 0) yield rows;
        rows = new Uint32Array(batch);
        filled = 0;
      }
      passed = 0;
    }
    if (filled > 0 && !dropLast) yield rows.subarray(0, filled);
  }

  /** Chooses the examples of the next batch; rows of the step beyond them keep what was there. */
  select(rows: Uint32Array): void {
    this.#buffers.rows.write(rows);
  }

  /** The buffer behind a name in a plan's bindings, or undefined if the name is not of this split. */
  input(name: string): DeviceBuffer | undefined {
    return Object.hasOwn(this.#buffers, name) ? this.#buffers[name as ImageBuffer] : undefined;
  }

  /**
   * Sees to it that the blocks asked for are those of a pass, without the blocks that lie before a row, and returns how
   * many rows of the first are before it.
   */
  async #begin(order: PassOrder, row: number): Promise<number> {
    const [next] = this.#awaited;
    if (row === 0 && next?.isFirst && next.pass === nameOf(order)) return 0;
    // A pass was left, or another than the likely one follows. Memory comes back when its reading is done.
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
    // A failure is told where the block is waited for, which may be never.
    read.catch(() => {});
    this.#awaited.push({ pass, isFirst, plan, read });
  }

  /** Uploads the next block and returns its first place, the order of its places, and whether the pass ends with it. */
  async #uploadNext(): Promise<{ first: number; order: Uint32Array; isLast: boolean }> {
    const { plan, read } = this.#awaited.shift()!;
    const { memory, labels } = await read;
    const { imageBytes } = this.#split.layout;
    const first = this.#uploads++ % this.#slots * this.#sizes.blockRows;
    const bytes = new Uint8Array(memory, 0, 4 * quadsOf(labels.length * imageBytes));
    if (this.#uploadedBytes + bytes.length > maxUploadedBytes) {
      // Uploads begin with a submit, of whatever it is.
      this.#gpu.device.queue.submit([]);
      await this.#gpu.device.queue.onSubmittedWorkDone();
      this.#uploadedBytes = 0;
    }
    this.#uploadedBytes += bytes.length;
    // Steps that were submitted read what was there before, and later ones this: the queue keeps the order.
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
function nameOf({ seed, epoch, shuffle }: PassOrder): string {
  return shuffle ? `epoch ${epoch} of seed ${seed}` : "in order";
}

/** The blocks of a pass, and then of those that will follow it: the next epochs. */
function* planPasses(
  chunks: Uint32Array,
  order: PassOrder,
  { blockRows }: BlockSizes,
): Generator<Omit<AwaitedBlock, "read">, never> {
  for (let { epoch } = order;; epoch++) {
    const pass = { ...order, epoch }, name = nameOf(pass);
    let isFirst = true;
    for (const plan of planBlocks(chunks, { ...pass, blockRows })) {
      yield { pass: name, isFirst, plan };
      isFirst = false;
    }
  }
}
