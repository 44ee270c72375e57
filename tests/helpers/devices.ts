/**
 * Devices for tests, one for each read path.
 *
 * @module
 */
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import type { ReadPath } from "../../src/kernels/assemble.ts";

const opened = new Map<ReadPath | "auto", Promise<Gpu>>();

/** The device that all tests of a file share for a read path; it lives until the process ends. */
export function deviceOf(path: ReadPath | "auto" = "auto"): Promise<Gpu> {
  const device = opened.get(path) ?? openGpu({ path });
  opened.set(path, device);
  return device;
}
