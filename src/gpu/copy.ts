/**
 * Copies between buffers on the device.
 *
 * @module
 */
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";

/** One copy of quads of a buffer onto quads of another, from the first ones on unless told otherwise. */
export interface QuadCopy {
  readonly from: DeviceBuffer;
  readonly to: DeviceBuffer;
  readonly quads: number;
  readonly fromQuad?: number;
  readonly toQuad?: number;
}

/** Copies quads between buffers, in order, in one submit. */
export function copyQuads(gpu: Gpu, copies: readonly QuadCopy[]): void {
  const encoder = gpu.device.createCommandEncoder({ label: "copy" });
  for (const { from, to, quads, fromQuad = 0, toQuad = 0 } of copies) {
    if (quads === 0) continue;
    encoder.copyBufferToBuffer(from.buffer, 16 * fromQuad, to.buffer, 16 * toQuad, 16 * quads);
    to.version++;
  }
  gpu.device.queue.submit([encoder.finish()]);
}
