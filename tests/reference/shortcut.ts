/**
 * What joins the branches of a network (torch.add, torch.mul, F.pad of a strided slice, torch.cat), in f64.
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

/** The index in a factor of what belongs to index i of a map: the same, or its channel if the factor has one pixel. */
function factorIndex(map: RefTensor, factor: RefTensor): (i: number) => number {
  const area = map.values.length / factor.values.length;
  return (i) => Math.floor(i / area);
}

/** Multiplies a map (N, C, H, W) by a factor of its shape, or of one number per channel. */
export function multiplyForward(map: RefTensor, factor: RefTensor): RefTensor {
  const at = factorIndex(map, factor);
  return tensorOf(map.shape, map.values.map((value, i) => value * factor.values[at(i)]));
}

/** Differentiates {@link multiplyForward}: dy times the factor, and the sums of dy times the map. */
export function multiplyBackward(map: RefTensor, factor: RefTensor, dy: RefTensor): readonly RefTensor[] {
  const at = factorIndex(map, factor), dFactor = zeros(factor.shape);
  for (const [i, value] of map.values.entries()) dFactor.values[at(i)] += value * dy.values[i];
  return [tensorOf(map.shape, dy.values.map((value, i) => value * factor.values[at(i)])), dFactor];
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
