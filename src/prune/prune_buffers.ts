/**
 * The buffers of scoring and selection besides a network's arenas, and the runner of dispatches on both.
 *
 * @module
 */
import { bindBuffers } from "../gpu/bind.ts";
import type { DeviceBuffer } from "../gpu/buffer.ts";
import { Program } from "../gpu/executor.ts";
import type { Network } from "../gpu/network.ts";
import { readIntegers } from "../gpu/readback.ts";
import type { Dispatch } from "../kernels/dispatch.ts";

/** Buffers by name, allocated at their first use. Dispose of them to free them. */
export class PruneBuffers {
  readonly network: Network;
  readonly #buffers = new Map<string, DeviceBuffer>();

  constructor(network: Network) {
    this.network = network;
  }

  /** Makes sure that buffers have at least so many words. A buffer that grows loses its content. */
  allocate(words: Iterable<readonly [name: string, words: number]>): void {
    for (const [name, count] of words) {
      const held = this.#buffers.get(name);
      if (held && held.sizeBytes >= 4 * count) continue;
      held?.[Symbol.dispose]();
      this.#buffers.set(name, this.network.gpu.createBuffer(name, 4 * count));
    }
  }

  /** An allocated buffer. */
  get(name: string): DeviceBuffer {
    return this.#buffers.get(name)!;
  }

  /** Runs dispatches once on the arenas and these buffers. */
  async run(dispatches: readonly Dispatch[]): Promise<void> {
    const { network } = this;
    const bind = bindBuffers("pruning", { network, input: (name) => this.#buffers.get(name) });
    using program = await Program.create(this.network.gpu, dispatches, { bind });
    program.run();
  }

  /** Clears `layer_counts`, runs dispatches that add to it, and reads the counts. */
  async countByLayer(dispatches: readonly Dispatch[]): Promise<Uint32Array> {
    const counts = this.get("layer_counts");
    counts.write(new Uint32Array(counts.sizeBytes / 4));
    await this.run(dispatches);
    return await readIntegers(this.network.gpu, counts);
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers.values()) buffer[Symbol.dispose]();
    this.#buffers.clear();
  }
}
