/**
 * Two-dimensional convolution (cross-correlation, as torch.nn.Conv2d), forward and backward, in f64.
 *
 * @module
 */
import { expectShape, type RefTensor, zeros } from "./tensor.ts";

/** A length along height and width, or [along height, along width], in pixels. */
export type RefPair = number | readonly [number, number];

/** How windows lie, as torch.nn.Conv2d's arguments of these names; dilation and groups are 1 where left out. */
export interface Conv2dOptions {
  readonly stride: RefPair;
  readonly padding: RefPair;
  /** Below and on the right; like `padding` where left out. */
  readonly paddingAfter?: RefPair | undefined;
  readonly dilation?: RefPair | undefined;
  readonly groups?: number | undefined;
}

/** Returns the length along one side. */
export function alongSide(pair: RefPair, side: 0 | 1): number {
  return typeof pair === "number" ? pair : pair[side];
}

/** Gradients of a convolution, each in the shape of what it belongs to. */
export interface Conv2dGradients {
  readonly dx: RefTensor;
  readonly dw: RefTensor;
  readonly db: RefTensor;
}

/** Returns the steps along height and width, and the groups. */
function stepsOf({ stride, padding, paddingAfter = padding, dilation = 1, groups = 1 }: Conv2dOptions) {
  const sides = (pair: RefPair) => [alongSide(pair, 0), alongSide(pair, 1)];
  return {
    stride: sides(stride),
    padding: sides(padding),
    paddingAfter: sides(paddingAfter),
    dilation: sides(dilation),
    groups,
  };
}

/**
 * Returns how many windows fit along one side: floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1
 * (torch.nn.Conv2d).
 */
export function windowCount(
  size: number,
  kernel: number,
  { stride, padding, paddingAfter = padding, dilation = 1 }: {
    readonly stride: number;
    readonly padding: number;
    readonly paddingAfter?: number;
    readonly dilation?: number;
  },
): number {
  return Math.floor((size + padding + paddingAfter - dilation * (kernel - 1) - 1) / stride) + 1;
}

/**
 * Returns the shape of y (N, O, OH, OW).
 *
 * @throws {RangeError} where the channels do not fit the groups.
 */
function outputShape(x: RefTensor, w: RefTensor, options: Conv2dOptions): number[] {
  const { stride, padding, paddingAfter, dilation, groups } = stepsOf(options);
  expectShape("x", x, [-1, -1, -1, -1]);
  expectShape("w", w, [-1, x.shape[1] / groups, -1, -1]);
  if (w.shape[0] % groups !== 0) {
    throw new RangeError(`Cannot use "w": ${w.shape[0]} outputs, expected a multiple of ${groups} groups`);
  }
  const side = (i: 0 | 1) =>
    windowCount(x.shape[2 + i], w.shape[2 + i], {
      stride: stride[i],
      padding: padding[i],
      paddingAfter: paddingAfter[i],
      dilation: dilation[i],
    });
  return [x.shape[0], w.shape[0], side(0), side(1)];
}

/**
 * Convolves: y[n, o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[n, g C/G + c, i s + u d - p, j s + v d - p]
 * (torch.nn.Conv2d), g = floor(o G / O) being the output's group; x outside its borders is 0.
 *
 * x (N, C, H, W), w (O, C/G, KH, KW), b (O) or undefined for none; returns y (N, O, OH, OW).
 *
 * @throws {RangeError} where the shapes do not fit.
 */
export function conv2dForward(
  x: RefTensor,
  w: RefTensor,
  b: RefTensor | undefined,
  options: Conv2dOptions,
): RefTensor {
  const y = zeros(outputShape(x, w, options));
  const [, outputs, outHeight, outWidth] = y.shape;
  if (b) {
    expectShape("b", b, [outputs]);
    const area = outHeight * outWidth;
    for (let i = 0; i < y.values.length; i++) y.values[i] = b.values[Math.floor(i / area) % outputs];
  }
  // Bare arrays and no calls: these loops are where the reference spends its time.
  const xs = x.values, ws = w.values, [batch, channels, height, width] = x.shape;
  const [, groupChannels, kernelHeight, kernelWidth] = w.shape;
  const { stride, padding, dilation, groups } = stepsOf(options);
  let yIndex = 0;
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      const firstPlane = n * channels + Math.floor(o * groups / outputs) * groupChannels;
      for (let i = 0; i < outHeight; i++) {
        for (let j = 0; j < outWidth; j++) {
          let sum = y.values[yIndex];
          for (let c = 0; c < groupChannels; c++) {
            for (let u = 0; u < kernelHeight; u++) {
              const row = i * stride[0] + u * dilation[0] - padding[0];
              if (row < 0 || row >= height) continue;
              for (let v = 0; v < kernelWidth; v++) {
                const column = j * stride[1] + v * dilation[1] - padding[1];
                if (column < 0 || column >= width) continue;
                const xIndex = ((firstPlane + c) * height + row) * width + column;
                const wIndex = ((o * groupChannels + c) * kernelHeight + u) * kernelWidth + v;
                sum += ws[wIndex] * xs[xIndex];
              }
            }
          }
          y.values[yIndex++] = sum;
        }
      }
    }
  }
  return y;
}

/**
 * Differentiates {@link conv2dForward}: every product w x that enters y adds dy x to dw and dy w to dx; db sums dy
 * over examples and pixels (chain rule).
 *
 * x (N, C, H, W), w (O, C/G, KH, KW), dy (N, O, OH, OW).
 *
 * @throws {RangeError} where the shapes do not fit.
 */
export function conv2dBackward(
  x: RefTensor,
  w: RefTensor,
  dy: RefTensor,
  options: Conv2dOptions,
): Conv2dGradients {
  const shape = outputShape(x, w, options);
  expectShape("dy", dy, shape);
  const [batch, outputs, outHeight, outWidth] = shape;
  const dx = zeros(x.shape), dw = zeros(w.shape), db = zeros([outputs]);
  const xs = x.values, ws = w.values, dxs = dx.values, dws = dw.values;
  const [, channels, height, width] = x.shape, [, groupChannels, kernelHeight, kernelWidth] = w.shape;
  const { stride, padding, dilation, groups } = stepsOf(options);
  let yIndex = 0;
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      const firstPlane = n * channels + Math.floor(o * groups / outputs) * groupChannels;
      for (let i = 0; i < outHeight; i++) {
        for (let j = 0; j < outWidth; j++) {
          const gradient = dy.values[yIndex++];
          db.values[o] += gradient;
          // Pooling and ReLU leave most gradients 0, and 0 adds nothing to finite values.
          if (gradient === 0) continue;
          for (let c = 0; c < groupChannels; c++) {
            for (let u = 0; u < kernelHeight; u++) {
              const row = i * stride[0] + u * dilation[0] - padding[0];
              if (row < 0 || row >= height) continue;
              for (let v = 0; v < kernelWidth; v++) {
                const column = j * stride[1] + v * dilation[1] - padding[1];
                if (column < 0 || column >= width) continue;
                const xIndex = ((firstPlane + c) * height + row) * width + column;
                const wIndex = ((o * groupChannels + c) * kernelHeight + u) * kernelWidth + v;
                dxs[xIndex] += gradient * ws[wIndex];
                dws[wIndex] += gradient * xs[xIndex];
              }
            }
          }
        }
      }
    }
  }
  return { dx, dw, db };
}
