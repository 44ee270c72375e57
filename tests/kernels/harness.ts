/**
 * Runs dispatches on the device at hand, on both read paths, with buffers given and read by name.
 *
 * @module
 */
import type { ReadPath } from "../../src/kernels/assemble.ts";
import type { Dispatch } from "../../src/kernels/dispatch.ts";
import type { DeviceBuffer } from "../../src/gpu/buffer.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { Program, type StepValues } from "../../src/gpu/executor.ts";
import { readBuffers } from "../../src/gpu/readback.ts";
import { quadsOf } from "../../src/shape.ts";
import { deviceOf } from "../helpers/devices.ts";

/** The read paths that every kernel is tested on. */
export const readPaths: readonly ReadPath[] = ["storage", "texture"];

/** The device that all tests of a file share. */
export function sharedGpu(): Promise<Gpu> {
  return deviceOf();
}

/** What a run of dispatches needs. */
export interface KernelRun {
  readonly path: ReadPath;
  readonly dispatches: readonly Dispatch[];
  /** The contents of each buffer that the dispatches name; a number gives so many zeroed 32-bit words. */
  readonly buffers: Readonly<Record<string, Float32Array | Uint32Array | number>>;
  readonly step?: StepValues;
}

/** Runs dispatches and returns a function that gives the bytes of a buffer afterwards. */
export async function runKernels(
  { path, dispatches, buffers, step }: KernelRun,
): Promise<{ floats(name: string): Float32Array; integers(name: string): Uint32Array }> {
  const gpu = await sharedGpu();
  const held = new Map<string, DeviceBuffer>();
  for (const [name, content] of Object.entries(buffers)) {
    const words = typeof content === "number" ? content : content.length;
    const buffer = gpu.createBuffer(name, 4 * words);
    if (typeof content !== "number" && content.length > 0) buffer.write(content);
    held.set(name, buffer);
  }
  const resolve = (name: string) => {
    const buffer = held.get(name);
    if (!buffer) throw new Error(`no buffer "${name}"`);
    return { buffer, quads: buffer.sizeBytes / 16 };
  };
  const program = await Program.create(gpu, dispatches, { resolve, path });
  program.run(step);
  const names = [...held.keys()];
  const contents = await readBuffers(gpu, names.map((name) => ({ buffer: held.get(name)! })));
  program[Symbol.dispose]();
  for (const buffer of held.values()) buffer[Symbol.dispose]();
  const bytesOf = (name: string) => contents[names.indexOf(name)];
  return {
    floats: (name) => new Float32Array(bytesOf(name)),
    integers: (name) => new Uint32Array(bytesOf(name)),
  };
}

/** Lays rows of values out in quads: (rows, taps, channels) -> (rows, taps, quads of channels, 4), zero-filled. */
export function toQuads(values: ArrayLike<number>, rows: number, channels: number): Float32Array {
  const width = 4 * quadsOf(channels);
  const quads = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < channels; c++) quads[row * width + c] = values[row * channels + c];
  }
  return quads;
}

/** Takes the padding out again: (rows, quads of channels, 4) -> (rows, channels). */
export function fromQuads(quads: ArrayLike<number>, rows: number, channels: number): Float64Array {
  const width = 4 * quadsOf(channels);
  return Float64Array.from(
    { length: rows * channels },
    (_, i) => quads[Math.floor(i / channels) * width + i % channels],
  );
}

/** Lays (N, C, H, W) out as (N, H, W, quads of C, 4); also (O, C, KH, KW) weights as (O, KH, KW, quads, 4). */
export function imagesToQuads(values: ArrayLike<number>, shape: readonly number[]): Float32Array {
  const [n, c, h, w] = shape;
  const area = h * w;
  const rows = Float64Array.from({ length: n * area * c }, (_, i) => {
    const channel = i % c, pixel = Math.floor(i / c) % area, image = Math.floor(i / (c * area));
    return values[(image * c + channel) * area + pixel];
  });
  return toQuads(rows, n * area, c);
}

/** The inverse of `imagesToQuads`. */
export function imagesFromQuads(quads: ArrayLike<number>, shape: readonly number[]): Float64Array {
  const [n, c, h, w] = shape;
  const area = h * w;
  const rows = fromQuads(quads, n * area, c);
  return Float64Array.from({ length: n * c * area }, (_, i) => {
    const pixel = i % area, channel = Math.floor(i / area) % c, image = Math.floor(i / (c * area));
    return rows[(image * area + pixel) * c + channel];
  });
}
