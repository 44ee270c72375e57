/**
 * Memory for the tensors of plans. Plans run one after the other and keep nothing between steps, so they share it.
 *
 * @module
 */
import type { DeviceBuffer } from "./buffer.ts";
import { takeFromPool } from "../plan/memory.ts";
import type { Gpu } from "./device.ts";

/** Buffers that plans share. */
export class SlotPool {
  readonly #gpu: Gpu;
  readonly #buffers: DeviceBuffer[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Returns a different buffer for each of a plan's slots: the smallest that is large enough. */
  take(slotQuads: readonly number[]): readonly DeviceBuffer[] {
    const pool = this.#buffers.map(({ sizeBytes }) => sizeBytes / 16);
    const taken = takeFromPool(pool, slotQuads);
    for (const quads of pool.slice(this.#buffers.length)) {
      this.#buffers.push(this.#gpu.createBuffer(`slot ${this.#buffers.length}`, 16 * quads));
    }
    return taken.map((buffer) => this.#buffers[buffer]);
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers.splice(0)) buffer[Symbol.dispose]();
  }
}
