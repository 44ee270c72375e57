/**
 * Reads buffers back to the host, several in one wait, because each wait costs a fixed time.
 *
 * @module
 */
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";

/** A range of a buffer. */
export interface ReadRange {
  readonly buffer: DeviceBuffer;
  /** First byte, a multiple of 4. Default: 0. */
  readonly offsetBytes?: number;
  /** Bytes, a multiple of 4. Default: all from the offset on. */
  readonly sizeBytes?: number;
}

/**
 * Reads ranges of buffers after all work submitted so far.
 *
 * @throws {KernelError} If an operation before it failed.
 * @throws {StateError} If a buffer, or the device, was disposed of.
 */
export async function readBuffers(gpu: Gpu, ranges: readonly ReadRange[]): Promise<ArrayBuffer[]> {
  gpu.check();
  const encoder = gpu.device.createCommandEncoder({ label: "readback" });
  const stagings = ranges.map(
    ({ buffer, offsetBytes = 0, sizeBytes = buffer.sizeBytes - offsetBytes }) => {
      const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ;
      const staging = gpu.device.createBuffer({ label: `${buffer.label} readback`, size: sizeBytes, usage });
      encoder.copyBufferToBuffer(buffer.buffer, offsetBytes, staging, 0, sizeBytes);
      return staging;
    },
  );
  gpu.device.queue.submit([encoder.finish()]);
  try {
    await Promise.all(stagings.map((staging) => staging.mapAsync(GPUMapMode.READ)));
    gpu.check();
    return stagings.map((staging) => staging.getMappedRange().slice(0));
  } catch (error) {
    gpu.check();
    throw error;
  } finally {
    for (const staging of stagings) staging.destroy();
  }
}

/** Reads a whole buffer as floats. */
export async function readFloats(gpu: Gpu, buffer: DeviceBuffer): Promise<Float32Array> {
  return new Float32Array((await readBuffers(gpu, [{ buffer }]))[0]);
}

/** Reads a whole buffer as unsigned integers. */
export async function readIntegers(gpu: Gpu, buffer: DeviceBuffer): Promise<Uint32Array> {
  return new Uint32Array((await readBuffers(gpu, [{ buffer }]))[0]);
}
