/**
 * Memory for the tensors of plans. Plans run one after the other and keep nothing between steps, so they share it.
 *
 * @module
 */
import type { DeviceBuffer } from "./buffer.ts";
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
    const taken = new Map<number, DeviceBuffer>();
    const largestFirst = [...slotQuads.entries()].sort(([, a], [, b]) => b - a);
    for (const [slot, quads] of largestFirst) {
      const used = new Set(taken.values());
      const fitting = this.#buffers.filter((buffer) => !used.has(buffer) && buffer.sizeBytes >= 16 * quads);
      const smallest = fitting.sort((a, b) => a.sizeBytes - b.sizeBytes)[0];
      if (!smallest) this.#buffers.push(this.#gpu.createBuffer(`slot ${this.#buffers.length}`, 16 * quads));
      taken.set(slot, smallest ?? this.#buffers[this.#buffers.length - 1]);
    }
    return slotQuads.map((_, slot) => taken.get(slot)!);
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers.splice(0)) buffer[Symbol.dispose]();
  }
}
