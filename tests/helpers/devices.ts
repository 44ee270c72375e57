/**
 * Devices for tests, one for each read path.
 *
 * @module
 */
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";

const opened = new Map<ReadPath | "auto", Promise<Gpu>>();

/** Closes a device when the tests of this file have ended, before its driver is unloaded. */
async function closeAtEnd(device: Promise<Gpu>): Promise<Gpu> {
  const gpu = await device;
  globalThis.addEventListener("unload", () => gpu[Symbol.dispose]());
  return gpu;
}

/** The device that all tests of a file share for a read path; it lives until they have ended. */
export function deviceOf(path: ReadPath | "auto" = "auto"): Promise<Gpu> {
  const device = opened.get(path) ?? closeAtEnd(openGpu({ path }));
  opened.set(path, device);
  return device;
}
