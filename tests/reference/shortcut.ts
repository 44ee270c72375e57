/**
 * What joins the branches of a network (torch.add, F.pad of a strided slice, torch.cat), in f64.
 *
 * @module
 */
import { expectShape, type RefTensor, tensorOf, zeros } from "./tensor.ts";

/**
 * Adds tensors of one shape; the gradient of each is that of the sum.
 *
 * @throws {RangeError} where the shapes differ.
 */
export function addForward(inputs: readonly RefTensor[]): RefTensor {
  const sum = tensorOf(inputs[0].shape, inputs[0].values);
  for (const input of inputs.slice(1)) {
    expectShape("input", input, sum.shape);
    for (const [i, value] of input.values.entries()) sum.values[i] += value;
  }
  return sum;
}

/** Channels of the output, and pixels between two that are kept. */
export interface SubsampleOptions {
  readonly outChannels: number;
  readonly stride: number;
  /** Channels of zeros before those of the input; half of all zeros, rounded down, where left out. */
  readonly before?: number;
}

/** Calls `visit` with the index in y (N, outChannels, OH, OW) of every value of x (N, C, H, W) that is kept. */
function forEachKept(
  [batch, channels, height, width]: readonly number[],
  { outChannels, stride, before = Math.floor((outChannels - channels) / 2) }: SubsampleOptions,
  visit: (yIndex: number, xIndex: number) => void,
): void {
  const outHeight = Math.ceil(height / stride), outWidth = Math.ceil(width / stride);
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < outHeight; i++) {
        for (let j = 0; j < outWidth; j++) {
          const yIndex = ((n * outChannels + c + before) * outHeight + i) * outWidth + j;
          visit(yIndex, ((n * channels + c) * height + i * stride) * width + j * stride);
        }
      }
    }
  }
}

/**
 * Keeps every stride-th pixel and puts channels of zeros around the input's, by default half of them rounded down before:
 * F.pad(x[:, :, ::s, ::s], (0, 0, 0, 0, before, after)), the shortcut A of He et al. 2015.
 */
export function subsampleForward(x: RefTensor, options: SubsampleOptions): RefTensor {
  const [batch, , height, width] = x.shape, { outChannels, stride } = options;
  const y = zeros([batch, outChannels, Math.ceil(height / stride), Math.ceil(width / stride)]);
  forEachKept(x.shape, options, (yIndex, xIndex) => y.values[yIndex] = x.values[xIndex]);
  return y;
}

/** Differentiates {@link subsampleForward}: dx is dy where a value was kept, else 0. */
export function subsampleBackward(x: RefTensor, dy: RefTensor, options: SubsampleOptions): RefTensor {
  const dx = zeros(x.shape);
  forEachKept(x.shape, options, (yIndex, xIndex) => dx.values[xIndex] = dy.values[yIndex]);
  return dx;
}

/** Calls `visit` with the input's number and index for every index of the output, row-major. */
function forEachJoined(
  shapes: readonly (readonly number[])[],
  visit: (yIndex: number, input: number, xIndex: number) => void,
): void {
  const [batch] = shapes[0], area = shapes[0].slice(2).reduce((product, size) => product * size, 1);
  let yIndex = 0;
  for (let n = 0; n < batch; n++) {
    for (const [input, [, channels]] of shapes.entries()) {
      for (let i = 0; i < channels * area; i++) visit(yIndex++, input, n * channels * area + i);
    }
  }
}

/**
 * Joins (N, C_i, ...) along the channels to (N, sum of C_i, ...).
 *
 * @throws {RangeError} where other sizes differ.
 */
export function concatForward(inputs: readonly RefTensor[]): RefTensor {
  const [batch, , ...sides] = inputs[0].shape;
  for (const input of inputs) expectShape("input", input, [batch, -1, ...sides]);
  const channels = inputs.reduce((sum, { shape }) => sum + shape[1], 0);
  const y = zeros([batch, channels, ...sides]);
  forEachJoined(inputs.map(({ shape }) => shape), (yIndex, input, xIndex) => {
    y.values[yIndex] = inputs[input].values[xIndex];
  });
  return y;
}

/** Differentiates {@link concatForward}: each input's gradient is its slice of dy. */
export function concatBackward(inputs: readonly RefTensor[], dy: RefTensor): readonly RefTensor[] {
  const dxs = inputs.map(({ shape }) => zeros(shape));
  forEachJoined(inputs.map(({ shape }) => shape), (yIndex, input, xIndex) => {
    dxs[input].values[xIndex] = dy.values[yIndex];
  });
  return dxs;
}
