/**
 * The parameters that a network had before it was pruned.
 *
 * @module
 */
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import { copyQuads } from "../../gpu/copy.ts";
import type { Network } from "../../gpu/network.ts";
import { readFloats } from "../../gpu/readback.ts";
import { takeParameter } from "../../plan/layout.ts";
import { outputsOf } from "./dense_targets.ts";
import type { ReplacedLayer } from "./replaced_layers.ts";

/** A network's parameters as they were, and how they and what follows from them come back. Dispose of it to free them. */
export class DenseState {
  readonly #network: Network;
  readonly #values: Float32Array;
  readonly #statistics: Float32Array;

  private constructor(
    network: Network,
    /** The values, with the places of the network's arenas. */
    readonly buffer: DeviceBuffer,
    { values, statistics }: { readonly values: Float32Array; readonly statistics: Float32Array },
  ) {
    this.#network = network;
    this.#values = values;
    this.#statistics = statistics;
  }

  /** Copies a network's parameters as they are. */
  static async open(network: Network): Promise<DenseState> {
    const { gpu, layout } = network, values = network.arena("values");
    const buffer = gpu.createBuffer("dense values", values.sizeBytes);
    copyQuads(gpu, [{ from: values, to: buffer, quads: buffer.sizeBytes / 16 }]);
    try {
      return new DenseState(network, buffer, {
        values: await readFloats(gpu, buffer),
        statistics: layout.statisticsQuads > 0
          ? await readFloats(gpu, network.arena("statistics"))
          : new Float32Array(),
      });
    } catch (error) {
      buffer[Symbol.dispose]();
      throw error;
    }
  }

  /** What the batch norm behind a layer multiplies its channels by; 1 without one. */
  alphaOf(layer: ReplacedLayer): Float32Array {
    const { norm } = layer, ones = new Float32Array(outputsOf(layer)).fill(1);
    if (!norm) return ones;
    const gamma = takeParameter(norm.scale, this.#values);
    const variance = takeParameter(norm.variance, this.#statistics);
    return ones.map((_, c) => gamma[c] / Math.sqrt(variance[c] + norm.epsilon));
  }

  /** Gives a layer's shifts to its bias, or to the running mean behind it. Channels that are removed stay as they are. */
  writeShifts(
    { bias, norm }: ReplacedLayer,
    { shifts, mask }: { readonly shifts: Float32Array; readonly mask: Float32Array },
  ): void {
    // The targets have the bias in them, so that the shift is all of the new one.
    if (bias) {
      const keeps = takeParameter(bias, mask);
      const values = new Float32Array(4 * bias.quads);
      values.set(shifts.map((shift, c) => keeps[c] === 0 ? 0 : shift));
      this.#network.arena("values").write(values, 16 * bias.offset);
    } else if (norm) {
      const keeps = takeParameter(norm.scale, mask), dense = takeParameter(norm.mean, this.#statistics);
      const means = new Float32Array(4 * norm.mean.quads);
      means.set(dense.map((mean, c) => keeps[c] === 0 ? mean : mean - shifts[c]));
      this.#network.arena("statistics").write(means, 16 * norm.mean.offset);
    }
  }

  /** Puts the dense network back, or what a mask leaves of it. */
  restore(mask?: Float32Array): void {
    const values = mask ? this.#values.map((value, i) => value * mask[i]) : this.#values;
    this.#network.arena("values").write(values);
    if (this.#statistics.length > 0) this.#network.arena("statistics").write(this.#statistics);
  }

  [Symbol.dispose](): void {
    this.buffer[Symbol.dispose]();
  }
}
