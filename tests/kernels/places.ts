/**
 * The forward pass of a convolution that pools, with and without a bias and the argmax.
 *
 * @module
 */
import { assert } from "@std/assert";
import type { Dispatch } from "../../src/kernels/dispatch.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import type { ConvolutionContext } from "../../src/model/convolution.ts";
import { pooledForward } from "../../src/model/pooled_convolution.ts";
import { countQuads, mapShape } from "../../src/shape.ts";
import { maxPool2dForward } from "../reference/pool2d.ts";
import { reluForward } from "../reference/relu.ts";
import { assertClose, type RefTensor } from "../reference/tensor.ts";
import { imagesFromQuads } from "./harness.ts";
import { assertPadding, unwritten } from "./precision.ts";

/** Whether a pass adds a bias, and whether it keeps the argmax. */
export interface PooledFusion {
  readonly hasBias: boolean;
  readonly keepsArgmax: boolean;
}

/** Both values of both, and every combination. */
export const contraryFusions: readonly PooledFusion[] = [
  { hasBias: true, keepsArgmax: true },
  { hasBias: false, keepsArgmax: false },
];
export const pooledFusions: readonly PooledFusion[] = [
  ...contraryFusions,
  { hasBias: true, keepsArgmax: false },
  { hasBias: false, keepsArgmax: true },
];

/** Passes by their dispatches, the buffers that they write, and the check of what these hold. */
export interface PooledPasses {
  readonly dispatches: readonly Dispatch[];
  readonly buffers: Readonly<Record<string, Float32Array>>;
  check(
    floats: (name: string) => Float32Array,
    options: { readonly tolerance: number; readonly name: string },
  ): void;
}

/**
 * Lowers passes of one convolution over the buffer `x`.
 *
 * @param convolve The convolution in f64, with its bias or without.
 */
export function pooledPasses(
  context: ConvolutionContext,
  fusions: readonly PooledFusion[],
  { convolve, scratch }: {
    readonly convolve: (hasBias: boolean) => RefTensor;
    readonly scratch: (purpose: string, quads: number) => ReturnType<typeof inputRef>;
  },
): PooledPasses {
  const { images, outChannels, outHeight, outWidth } = context.geometry;
  const height = Math.floor(outHeight / 2), width = Math.floor(outWidth / 2);
  const words = 4 * images * height * width * countQuads(outChannels);
  const passes = fusions.map((fusion, i) => ({ ...fusion, y: `pooled ${i}`, argmax: `argmax ${i}` }));
  return {
    dispatches: passes.flatMap(({ hasBias, keepsArgmax, y, argmax }) => {
      const output = mapShape(outChannels, height, width);
      const pool = { y: inputRef(y), argmax: inputRef(argmax), dy: inputRef("none"), output };
      const { bias } = context;
      return pooledForward({ ...context, bias: hasBias ? bias : undefined }, {
        ...{ x: inputRef("x"), pool, keepsArgmax, scratch },
      });
    }),
    buffers: Object.fromEntries(
      passes.flatMap(({ y, argmax }) => [[y, unwritten(words)], [argmax, unwritten(words)]]),
    ),
    check(floats, { tolerance, name }) {
      for (const { hasBias, keepsArgmax, y, argmax } of passes) {
        const convolved = convolve(hasBias), own = `${name}, ${JSON.stringify({ hasBias, keepsArgmax })}`;
        const want = maxPool2dForward(reluForward(convolved), { kernel: 2, stride: 2, padding: 0 });
        const pooled = imagesFromQuads(floats(y), want.shape);
        assertClose(pooled, want.values, { tolerance, name: own });
        assertPadding(floats(y), outChannels, { name: own });
        if (keepsArgmax) {
          assertPadding(floats(argmax), outChannels, { name: own, value: -1 });
          const got = imagesFromQuads(floats(argmax), want.shape);
          assertPlaces(got, { pooled, want, convolved }, { tolerance, name: own });
        } else assert(floats(argmax).every(Number.isNaN), `${own}: argmax are written`);
      }
    },
  };
}

/** Asserts that each place is that of a value as large as the pooled one, and -1 where nothing is above zero. */
function assertPlaces(
  argmax: Float64Array,
  { pooled, want: { shape: [, , height, width] }, convolved: { shape, values } }: {
    readonly pooled: Float64Array;
    readonly want: RefTensor;
    readonly convolved: RefTensor;
  },
  { tolerance, name }: { readonly tolerance: number; readonly name: string },
): void {
  const [, , outHeight, outWidth] = shape;
  for (const [i, place] of argmax.entries()) {
    assert([-1, 0, 1, 2, 3].includes(place), `${name}: place ${place} at ${i}`);
    assert(place === -1 ? pooled[i] === 0 : pooled[i] > 0, `${name}: place ${place} of ${pooled[i]} at ${i}`);
    const plane = Math.floor(i / (height * width)), y = Math.floor(i / width) % height;
    const line = plane * outHeight + 2 * y + Math.floor(place / 2), column = 2 * (i % width) + place % 2;
    const value = place === -1 ? 0 : values[line * outWidth + column];
    assertClose([value], [pooled[i]], { tolerance, name: `${name}, place ${place} at ${i}` });
  }
}
