/**
 * The shares of images in the mixes of a batch.
 *
 * @module
 */
import type { DeviceBuffer } from "../gpu/buffer.ts";
import type { Gpu } from "../gpu/device.ts";
import { mixShares } from "../plan/mixup.ts";
import { drawBeta, openRandomStream } from "../random.ts";

/** Shares on the device, drawn anew for each batch. */
export interface Mixup extends Disposable {
  /** The share of each row in its own mix (batch), in [0.5, 1]. */
  readonly shares: DeviceBuffer;
  /** Draws the shares of the next batch from the seed alone. */
  draw(seed: number): void;
}

/**
 * Draws the share of each of `batch` rows: max(s, 1 - s) with s of Beta(alpha, alpha). That does not change the
 * distribution of mixes, but makes each image the dominant one exactly once per epoch. A row's label is that of its
 * larger share (as in fastai's MixUp).
 */
export function drawShares(seed: number, { alpha, batch }: MixupOptions): Float32Array {
  const stream = openRandomStream(seed, "mixup");
  return Float32Array.from({ length: batch }, () => {
    const share = drawBeta(alpha, stream);
    return Math.max(share, 1 - share);
  });
}

/** Options of mixing images. */
export interface MixupOptions {
  /**
   * Both parameters of the Beta distribution of the shares, above 0. Near 0 there is hardly any mixing; at 1 all
   * shares are equally likely.
   */
  readonly alpha: number;
  /** Rows of a batch. */
  readonly batch: number;
}

/** Creates the buffer of the shares. */
export function openMixup(gpu: Gpu, options: MixupOptions): Mixup {
  const shares = gpu.createBuffer(mixShares, 4 * options.batch);
  return {
    shares,
    draw: (seed) => shares.write(drawShares(seed, options)),
    [Symbol.dispose]: () => shares[Symbol.dispose](),
  };
}
