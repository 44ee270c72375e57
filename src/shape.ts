/**
 * Shapes of feature maps, and how they lie on the device: pixel by pixel (NHWC), the channels of a pixel in quads
 * of four, the last quad filled up with zeros.
 *
 * @module
 */

/** The shape of one example between two layers. A flattened map is a pixel whose channels come from many taps. */
export interface FeatureShape {
  /** Channels a pixel and tap; features of a vector are `channels * taps`. */
  readonly channels: number;
  /** Height, in pixels. */
  readonly height: number;
  /** Width, in pixels. */
  readonly width: number;
  /** Pixels that were flattened into this one, in line order; 1 where none were. */
  readonly taps: number;
}

/** Most channels, pixels along a side, numbers in all, and classes of images. */
export const imageBounds = { channels: 64, side: 2 ** 16, numbers: 2 ** 26, classes: 2 ** 16 } as const;

/** Returns the shape of a feature map (channels, height, width). */
export function mapShape(channels: number, height: number, width: number): FeatureShape {
  return { channels, height, width, taps: 1 };
}

/** Returns the shape of a vector of features. */
export function vectorShape(features: number): FeatureShape {
  return { channels: features, height: 1, width: 1, taps: 1 };
}

/** Quads of four floats that hold a number of channels. */
export function countQuads(channels: number): number {
  return Math.ceil(channels / 4);
}

/** Quads that one pixel takes. */
export function quadsPerPixel(shape: FeatureShape): number {
  return shape.taps * countQuads(shape.channels);
}

/** Quads that one example takes. */
export function quadsPerExample(shape: FeatureShape): number {
  return shape.height * shape.width * quadsPerPixel(shape);
}

/** Numbers that one example holds, without padding. */
export function countFeatures(shape: FeatureShape): number {
  return shape.channels * shape.height * shape.width * shape.taps;
}

/** A length in pixels along both sides of a map, or one along its height and one along its width. */
export type Pair = number | readonly [number, number];

/** Returns a length along the height and one along the width. */
export function toPair(pair: Pair): readonly [number, number] {
  return typeof pair === "number" ? [pair, pair] : pair;
}

/** Windows over a map, in pixels: their sides, the steps between two, the zeros around the map, the steps of taps. */
export interface Windows {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  /** Zeros below and on the right, where they differ from those above and on the left. */
  readonly paddingAfter?: Pair | undefined;
  /** Pixels between two taps of a window; 1 where left out. */
  readonly dilation?: Pair | undefined;
}

/** Length of one side of a convolution's or pooling's output, or below 1 where the window does not fit. */
export function windowedLength(
  length: number,
  { kernel, stride, padding, paddingAfter = padding, dilation = 1 }:
    & Readonly<Record<"kernel" | "stride" | "padding", number>>
    & { readonly paddingAfter?: number; readonly dilation?: number },
): number {
  return Math.floor((length + padding + paddingAfter - dilation * (kernel - 1) - 1) / stride) + 1;
}

/** Height and width of a convolution's or pooling's output, below 1 where the window does not fit. */
export function windowedSides(
  { height, width }: Pick<FeatureShape, "height" | "width">,
  { kernel, stride, padding, paddingAfter = padding, dilation = 1 }: Windows,
): { readonly height: number; readonly width: number } {
  const along = (side: 0 | 1) => ({
    kernel: toPair(kernel)[side],
    stride: toPair(stride)[side],
    padding: toPair(padding)[side],
    paddingAfter: toPair(paddingAfter)[side],
    dilation: toPair(dilation)[side],
  });
  return { height: windowedLength(height, along(0)), width: windowedLength(width, along(1)) };
}

/** The shape as text, such as `32 x 16 x 16` or `4096`. */
export function shapeText(shape: FeatureShape): string {
  const isVector = shape.height === 1 && shape.width === 1;
  return isVector ? `${countFeatures(shape)}` : `${shape.channels} x ${shape.height} x ${shape.width}`;
}
