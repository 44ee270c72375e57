/**
 * A device whose kernels may only bind small buffers, for tests of what does not fit and of arenas in windows.
 *
 * @module
 */
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";

/** Opens a device that says that its kernels bind at most so many bytes of a buffer, and how large buffers may be. */
export async function openSmallGpu(
  maxBindingBytes: number,
  { path = "auto", maxBufferBytes }: {
    readonly path?: ReadPath | "auto";
    readonly maxBufferBytes?: number;
  } = {},
): Promise<Gpu> {
  const gpu = await openGpu({ path }), { limits } = gpu.device;
  const names = Object.keys(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(limits)));
  const copied = Object.fromEntries(names.map((name) => [name, limits[name as keyof GPUSupportedLimits]]));
  Object.defineProperty(gpu.device, "limits", {
    value: {
      ...copied,
      maxStorageBufferBindingSize: maxBindingBytes,
      maxBufferSize: maxBufferBytes ?? limits.maxBufferSize,
    },
  });
  return gpu;
}
