/**
 * Copies between buffers on the device.
 *
 * @module
 */
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";

/** One copy of the first quads of a buffer onto the first quads of another. */
export interface QuadCopy {
  readonly from: DeviceBuffer;
  readonly to: DeviceBuffer;
  readonly quads: number;
}

/** Copies quads between buffers, in order, in one submit. */
export function copyQuads(gpu: Gpu, copies: readonly QuadCopy[]): void {
  const encoder = gpu.device.createCommandEncoder({ label: "copy" });
  for (const { from, to, quads } of copies) {
    if (quads === 0) continue;
    encoder.copyBufferToBuffer(from.buffer, 0, to.buffer, 0, 16 * quads);
    to.version++;
  }
  gpu.device.queue.submit([encoder.finish()]);
}
