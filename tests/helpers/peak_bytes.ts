/**
 * The device memory that a call takes at its peak.
 *
 * @module
 */
import type { Gpu } from "../../src/gpu/device.ts";

/** Runs something, and returns the most bytes that were allocated meanwhile beyond those that were before. */
export async function peakBytes(gpu: Gpu, run: () => Promise<unknown>): Promise<number> {
  const start = gpu.allocatedBytes;
  let bytes = start, peak = start;
  const set = (now: number) => {
    bytes = now;
    peak = Math.max(peak, now);
  };
  Object.defineProperty(gpu, "allocatedBytes", { configurable: true, get: () => bytes, set });
  try {
    await run();
  } finally {
    Object.defineProperty(gpu, "allocatedBytes", { configurable: true, writable: true, value: bytes });
  }
  return peak - start;
}
