/**
 * A device whose buffers may only be small, for tests of what does not fit.
 *
 * @module
 */
import { type Gpu, openGpu } from "../../src/gpu/device.ts";

/** Opens a device that says that its kernels bind buffers of at most so many bytes. */
export async function openSmallGpu(maxBufferBytes: number): Promise<Gpu> {
  const gpu = await openGpu(), { limits } = gpu.device;
  const names = Object.keys(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(limits)));
  const copied = Object.fromEntries(names.map((name) => [name, limits[name as keyof GPUSupportedLimits]]));
  Object.defineProperty(gpu.device, "limits", {
    value: { ...copied, maxStorageBufferBindingSize: maxBufferBytes },
  });
  return gpu;
}
