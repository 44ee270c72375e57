/**
 * The sizes of a layer that is refit: what a patch of its input is, and how many output channels it has.
 *
 * @module
 */
import { ShapeError } from "../../errors.ts";
import { quadsOf } from "../../shape.ts";

/** Height and width, or what else there is along y and along x. */
export type Axes = readonly [number, number];

/**
 * A convolution with one group, x (N, inHeight, inWidth, quads of inChannels) to y (N, outHeight, outWidth, quads of
 * outChannels). A linear layer is a window over its whole input: kernel (inHeight, inWidth), output 1 x 1, where pixels
 * that were flattened into features stay pixels.
 */
export interface RefitGeometry {
  /** The layer's name, for labels and errors. */
  readonly name: string;
  readonly inChannels: number;
  readonly inSize: Axes;
  readonly outChannels: number;
  readonly outSize: Axes;
  readonly kernel: Axes;
  readonly stride: Axes;
  readonly padding: Axes;
  readonly dilation: Axes;
}

/** The geometry of a linear layer over `taps` flattened pixels of `channels` each. */
export function linearGeometry(
  { name, taps, channels, outFeatures }: {
    readonly name: string;
    readonly taps: number;
    readonly channels: number;
    readonly outFeatures: number;
  },
): RefitGeometry {
  return {
    name,
    inChannels: channels,
    inSize: [1, taps],
    outChannels: outFeatures,
    outSize: [1, 1],
    kernel: [1, taps],
    stride: [1, 1],
    padding: [0, 0],
    dilation: [1, 1],
  };
}

/** Quads of a patch, which are those of a row of the weight: taps x quads of the input's channels. */
export function patchQuads({ kernel: [height, width], inChannels }: RefitGeometry): number {
  return height * width * quadsOf(inChannels);
}

/**
 * Checks that sizes are whole numbers and fit together.
 *
 * @throws {ShapeError} Where they do not.
 */
export function checkGeometry(geometry: RefitGeometry): void {
  const { name, inChannels, inSize, outChannels, outSize, kernel, stride, padding, dilation } = geometry;
  const fail = (current: string, wanted: string): never => {
    throw new ShapeError({ act: "refit layer", thing: name, current, wanted });
  };
  const positive = { inChannels, outChannels, inSize, outSize, kernel, stride, dilation };
  for (const [what, sizes] of Object.entries(positive)) {
    if ([sizes].flat().every((size) => Number.isInteger(size) && size > 0)) continue;
    fail(`${what} ${sizes}`, "whole numbers above 0");
  }
  if (!padding.every((size) => Number.isInteger(size) && size >= 0)) {
    fail(`padding ${padding}`, "whole numbers");
  }
  for (const axis of [0, 1] as const) {
    const reach = dilation[axis] * (kernel[axis] - 1) + 1;
    const length = Math.floor((inSize[axis] + 2 * padding[axis] - reach) / stride[axis]) + 1;
    if (length !== outSize[axis]) fail(`an output of ${outSize[axis]} along axis ${axis}`, `${length}`);
  }
}
