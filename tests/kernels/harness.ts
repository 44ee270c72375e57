/**
 * Runs dispatches on the device at hand, on both read paths, with buffers given and read by name.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/interface.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { type Run, runOnce, type RunResult } from "../../src/gpu/run_once.ts";
import { countQuads } from "../../src/shape.ts";
import { deviceOf } from "../helpers/devices.ts";
import { noteVariants } from "./variants.ts";

/** The read paths that every kernel is tested on. */
export const readPaths: readonly ReadPath[] = ["storage", "texture"];

/** The device that all tests of a file share. */
export function sharedGpu(): Promise<Gpu> {
  return deviceOf();
}

/** Words behind every buffer that no kernel may read or write: quads of a workgroup. */
const guardWords = 4 * 64;

/** What stands in them: not a number, of bits that nothing computes. */
const guardWord = 0x7fdead01;

/** A buffer's words with the guard behind them. */
function withGuard(content: Float32Array | Uint32Array | number): Uint32Array {
  const words = typeof content === "number" ? content : content.length;
  const guarded = new Uint32Array(words + guardWords).fill(guardWord, words);
  if (typeof content !== "number") {
    guarded.set(new Uint32Array(content.buffer, content.byteOffset, words));
  }
  return guarded;
}

/**
 * Runs dispatches on one read path, on the shared device if no other is given, and reads all buffers back, which the
 * test is to compare with a reference. None may be written, or read to any effect, behind its end.
 */
export async function runKernels(
  { gpu, buffers, ...run }: Run & { readonly path: ReadPath; readonly gpu?: Gpu | undefined },
): Promise<RunResult> {
  noteVariants(run.dispatches, run.path);
  const guarded = Object.fromEntries(
    Object.entries(buffers).map(([name, content]) => [name, withGuard(content)]),
  );
  const { floats, integers } = await runOnce(gpu ?? await sharedGpu(), { ...run, buffers: guarded });
  const wordsOf = (name: string) => guarded[name].length - guardWords;
  for (const name of Object.keys(buffers)) {
    const behind = integers(name).subarray(wordsOf(name), wordsOf(name) + guardWords);
    const written = behind.findIndex((word) => word !== guardWord);
    assert(written < 0, `${name} is written ${written} words behind its end`);
  }
  return {
    floats: (name) => floats(name).subarray(0, wordsOf(name)),
    integers: (name) => integers(name).subarray(0, wordsOf(name)),
  };
}

/** Lays rows of values out in quads: (rows, taps, channels) -> (rows, taps, quads of channels, 4), zero-filled. */
export function toQuads(values: ArrayLike<number>, rows: number, channels: number): Float32Array {
  const width = 4 * countQuads(channels);
  const quads = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < channels; c++) quads[row * width + c] = values[row * channels + c];
  }
  return quads;
}

/** Takes the padding out again: (rows, quads of channels, 4) -> (rows, channels). */
export function fromQuads(quads: ArrayLike<number>, rows: number, channels: number): Float64Array {
  const width = 4 * countQuads(channels);
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
