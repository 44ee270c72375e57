/**
 * Maximum and average pooling (torch.nn.MaxPool2d, torch.nn.AvgPool2d), forward and backward, in f64.
 *
 * @module
 */
import { alongSide, type RefPair, windowCount } from "./conv2d.ts";
import { expectShape, type RefTensor, zeros } from "./tensor.ts";

/** Window size, step between windows and padding on each side, in pixels. */
export interface Pool2dOptions {
  readonly kernel: RefPair;
  readonly stride: RefPair;
  readonly padding: RefPair;
  /** Below and on the right; like `padding` where left out. */
  readonly paddingAfter?: RefPair | undefined;
  /** False where a mean is over the pixels of x alone (count_include_pad). */
  readonly countsPadding?: boolean | undefined;
}

/** Returns what a mean is divided by: the places of a window, or its pixels. */
function windowArea({ kernel, countsPadding = true }: Pool2dOptions, pixels: readonly number[]): number {
  return countsPadding ? alongSide(kernel, 0) * alongSide(kernel, 1) : pixels.length;
}

/**
 * Calls `visit` once a window, with the output's index and the indices of the window's pixels in x, row-major.
 *
 * @throws {RangeError} where a window could lie wholly in the padding, which PyTorch refuses too.
 */
function forEachWindow(
  shape: readonly number[],
  options: Pool2dOptions,
  visit: (yIndex: number, xIndices: readonly number[]) => void,
): void {
  const { stride, padding } = options;
  const [kernelHeight, kernelWidth] = [alongSide(options.kernel, 0), alongSide(options.kernel, 1)];
  const [paddingY, paddingX] = [alongSide(padding, 0), alongSide(padding, 1)];
  if (2 * paddingY > kernelHeight || 2 * paddingX > kernelWidth) {
    const half = `${kernelHeight / 2}, ${kernelWidth / 2}`;
    throw new RangeError(
      `Cannot pool with "padding": ${paddingY}, ${paddingX}, expected at most half the kernel, ${half}`,
    );
  }
  const [batch, channels, height, width] = shape;
  const [, , outHeight, outWidth] = pooledShape(shape, options);
  let yIndex = 0;
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let i = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++) {
        const xIndices: number[] = [];
        for (let u = 0; u < kernelHeight; u++) {
          const row = i * alongSide(stride, 0) + u - paddingY;
          if (row < 0 || row >= height) continue;
          for (let v = 0; v < kernelWidth; v++) {
            const column = j * alongSide(stride, 1) + v - paddingX;
            if (column >= 0 && column < width) xIndices.push((plane * height + row) * width + column);
          }
        }
        visit(yIndex++, xIndices);
      }
    }
  }
}

/** Returns the output shape (N, C, OH, OW) for an input shape (N, C, H, W), sizes rounded down. */
export function pooledShape(shape: readonly number[], options: Pool2dOptions): number[] {
  const [batch, channels, height, width] = shape;
  const { kernel, stride, padding, paddingAfter = padding } = options;
  const count = (size: number, side: 0 | 1) =>
    windowCount(size, alongSide(kernel, side), {
      stride: alongSide(stride, side),
      padding: alongSide(padding, side),
      paddingAfter: alongSide(paddingAfter, side),
    });
  return [batch, channels, count(height, 0), count(width, 1)];
}

/** Returns which pixel is a window's maximum: the first in row-major order, or the last NaN, as PyTorch. */
function maximumIndex(values: Float64Array, xIndices: readonly number[]): number {
  let chosen = xIndices[0], largest = -Infinity;
  for (const index of xIndices) {
    if (!(values[index] > largest) && !Number.isNaN(values[index])) continue;
    largest = values[index];
    chosen = index;
  }
  return chosen;
}

/**
 * Takes each window's maximum; padding counts as -infinity (torch.nn.MaxPool2d).
 *
 * x (N, C, H, W); returns y (N, C, OH, OW).
 *
 * @throws {RangeError} where x does not have four dimensions or the padding exceeds half the kernel.
 */
export function maxPool2dForward(x: RefTensor, options: Pool2dOptions): RefTensor {
  expectShape("x", x, [-1, -1, -1, -1]);
  const y = zeros(pooledShape(x.shape, options));
  forEachWindow(x.shape, options, (yIndex, xIndices) => {
    y.values[yIndex] = x.values[maximumIndex(x.values, xIndices)];
  });
  return y;
}

/**
 * Differentiates {@link maxPool2dForward}: each dy goes to its window's maximum, the first of equals in row-major
 * order, and adds up where windows overlap.
 *
 * x (N, C, H, W), dy (N, C, OH, OW); returns dx (N, C, H, W).
 *
 * @throws {RangeError} where the shapes do not fit or the padding exceeds half the kernel.
 */
export function maxPool2dBackward(x: RefTensor, dy: RefTensor, options: Pool2dOptions): RefTensor {
  expectShape("x", x, [-1, -1, -1, -1]);
  expectShape("dy", dy, pooledShape(x.shape, options));
  const dx = zeros(x.shape);
  forEachWindow(x.shape, options, (yIndex, xIndices) => {
    dx.values[maximumIndex(x.values, xIndices)] += dy.values[yIndex];
  });
  return dx;
}

/**
 * Takes each window's mean over all its places, padding counting as zeros (torch.nn.AvgPool2d's default) or not.
 *
 * x (N, C, H, W); returns y (N, C, OH, OW).
 *
 * @throws {RangeError} where x does not have four dimensions or the padding exceeds half the kernel.
 */
export function averagePool2dForward(x: RefTensor, options: Pool2dOptions): RefTensor {
  expectShape("x", x, [-1, -1, -1, -1]);
  const y = zeros(pooledShape(x.shape, options));
  forEachWindow(x.shape, options, (yIndex, xIndices) => {
    for (const index of xIndices) y.values[yIndex] += x.values[index] / windowArea(options, xIndices);
  });
  return y;
}

/**
 * Differentiates {@link averagePool2dForward}: each dy, divided by the places of a window, goes to every pixel of its window.
 *
 * x (N, C, H, W), of which only the shape matters, dy (N, C, OH, OW); returns dx (N, C, H, W).
 *
 * @throws {RangeError} where the shapes do not fit or the padding exceeds half the kernel.
 */
export function averagePool2dBackward(x: RefTensor, dy: RefTensor, options: Pool2dOptions): RefTensor {
  expectShape("x", x, [-1, -1, -1, -1]);
  expectShape("dy", dy, pooledShape(x.shape, options));
  const dx = zeros(x.shape);
  forEachWindow(x.shape, options, (yIndex, xIndices) => {
    for (const index of xIndices) dx.values[index] += dy.values[yIndex] / windowArea(options, xIndices);
  });
  return dx;
}
