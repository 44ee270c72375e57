/**
 * A cache of what a teacher computes for each example, for students whose examples stay the same in every epoch.
 *
 * @module
 */
import type { DeviceBuffer } from "../gpu/buffer.ts";
import { copyQuads, type QuadCopy } from "../gpu/copy.ts";
import type { Gpu } from "../gpu/device.ts";

/** One output of a teacher for a batch. */
export interface TeacherOutput {
  readonly buffer: DeviceBuffer;
  /** Quads of each example. */
  readonly quads: number;
}

/** A batch's worth of examples: a buffer for each output, and which of the examples it holds. */
interface Block {
  readonly buffers: readonly DeviceBuffer[];
  readonly isKept: boolean[];
}

/** Bytes that a cache of so many examples takes in the end, in blocks of a batch. */
export function countCacheBytes(
  outputs: readonly Pick<TeacherOutput, "quads">[],
  { examples, batch }: { readonly examples: number; readonly batch: number },
): number {
  const held = Math.ceil(examples / batch) * batch;
  return 16 * held * outputs.reduce((sum, { quads }) => sum + quads, 0);
}

/** Keeps a teacher's outputs on the device. Memory is taken as examples come. */
export class TeacherCache implements Disposable {
  readonly #gpu: Gpu;
  readonly #outputs: readonly TeacherOutput[];
  readonly #batch: number;
  readonly #blocks = new Map<number, Block>();

  /** @param batch Examples of a batch, whose outputs fit in one buffer each. */
  constructor(gpu: Gpu, outputs: readonly TeacherOutput[], batch: number) {
    this.#gpu = gpu;
    this.#outputs = outputs;
    this.#batch = batch;
  }

  /** Puts the outputs of a batch where the teacher would, if all of its examples are kept; else returns false. */
  recall(rows: Uint32Array): boolean {
    if (!rows.every((row) => this.#blocks.get(this.#blockOf(row))?.isKept[row % this.#batch])) return false;
    this.#copy(
      rows,
      ({ kept, own }, quads) => ({
        from: kept.buffer,
        fromQuad: kept.at,
        to: own.buffer,
        toQuad: own.at,
        quads,
      }),
    );
    return true;
  }

  /** Keeps the outputs that the teacher has computed for a batch. */
  keep(rows: Uint32Array): void {
    for (const row of rows) this.#block(this.#blockOf(row)).isKept[row % this.#batch] = true;
    this.#copy(
      rows,
      ({ kept, own }, quads) => ({
        from: own.buffer,
        fromQuad: own.at,
        to: kept.buffer,
        toQuad: kept.at,
        quads,
      }),
    );
  }

  #blockOf(row: number): number {
    return Math.floor(row / this.#batch);
  }

  #block(index: number): Block {
    const known = this.#blocks.get(index);
    if (known) return known;
    const buffers = this.#outputs.map(({ quads }, output) =>
      this.#gpu.createBuffer(`kept teacher output ${output}, block ${index}`, 16 * quads * this.#batch)
    );
    const block = { buffers, isKept: new Array<boolean>(this.#batch).fill(false) };
    this.#blocks.set(index, block);
    return block;
  }

  /** Copies each output of each example of a batch between its place here and that in the batch. */
  #copy(
    rows: Uint32Array,
    direct: (places: { readonly kept: Place; readonly own: Place }, quads: number) => QuadCopy,
  ): void {
    const copies = this.#outputs.flatMap(({ buffer, quads }, output) =>
      Array.from(rows, (row, i) => {
        const kept = {
          buffer: this.#block(this.#blockOf(row)).buffers[output],
          at: row % this.#batch * quads,
        };
        return direct({ kept, own: { buffer, at: i * quads } }, quads);
      })
    );
    copyQuads(this.#gpu, copies);
  }

  [Symbol.dispose](): void {
    for (const { buffers } of this.#blocks.values()) for (const buffer of buffers) buffer[Symbol.dispose]();
    this.#blocks.clear();
  }
}

interface Place {
  readonly buffer: DeviceBuffer;
  /** The first quad. */
  readonly at: number;
}
