/**
 * The shares by which a batch's images are mixed.
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
  /** Draws the shares of the next batch, which follow from the seed alone. */
  draw(seed: number): void;
}

/**
 * Draws the share of each of `batch` rows: the larger of s and 1 - s, with s of Beta(alpha, alpha). Which of two images
 * has the larger share is chance, so no mix becomes more or less likely in all, but each image leads one mix an epoch,
 * and the label of its row is that of the larger share (as in fastai's MixUp).
 */
export function drawShares(seed: number, { alpha, batch }: MixupOptions): Float32Array {
  const stream = openRandomStream(seed, "mixup");
  return Float32Array.from({ length: batch }, () => {
    const share = drawBeta(alpha, stream);
    return Math.max(share, 1 - share);
  });
}

/** How images are mixed. */
export interface MixupOptions {
  /** Both parameters of the Beta distribution of the shares, above 0: near 0 hardly mixes, 1 takes all shares alike. */
  readonly alpha: number;
  /** Rows of a batch. */
  readonly batch: number;
}

/** Makes the buffer of the shares. */
export function openMixup(gpu: Gpu, options: MixupOptions): Mixup {
  const shares = gpu.createBuffer(mixShares, 4 * options.batch);
  return {
    shares,
    draw: (seed) => shares.write(drawShares(seed, options)),
    [Symbol.dispose]: () => shares[Symbol.dispose](),
  };
}
