/**
 * Two-dimensional convolution (cross-correlation, as torch.nn.Conv2d), forward and backward, in f64.
 *
 * @module
 */
import { expectShape, type RefTensor, zeros } from "./tensor.ts";

/** Step between windows and zeros added on each side, both in pixels and equal in height and width. */
export interface Conv2dOptions {
  readonly stride: number;
  readonly padding: number;
}

/** Gradients of a convolution, each in the shape of what it belongs to. */
export interface Conv2dGradients {
  readonly dx: RefTensor;
  readonly dw: RefTensor;
  readonly db: RefTensor;
}

/**
 * Returns how many windows fit: floor((size + 2 padding - kernel) / stride) + 1 (torch.nn.Conv2d).
 */
export function windowCount(size: number, kernel: number, { stride, padding }: Conv2dOptions): number {
  return Math.floor((size + 2 * padding - kernel) / stride) + 1;
}

/**
 * Convolves: y[n, o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[n, c, i s + u - p, j s + v - p]
 * (torch.nn.Conv2d); x outside its borders is 0.
 *
 * x (N, C, H, W), w (O, C, KH, KW), b (O) or undefined for none; returns y (N, O, OH, OW).
 *
 * @throws {RangeError} where the shapes do not fit.
 */
export function conv2dForward(
  x: RefTensor,
  w: RefTensor,
  b: RefTensor | undefined,
  options: Conv2dOptions,
): RefTensor {
  expectShape("x", x, [-1, -1, -1, -1]);
  expectShape("w", w, [-1, x.shape[1], -1, -1]);
  if (b) expectShape("b", b, [w.shape[0]]);
  const [batch, channels, height, width] = x.shape;
  const [outputs, , kernelHeight, kernelWidth] = w.shape;
  const { stride, padding } = options;
  const outHeight = windowCount(height, kernelHeight, options);
  const outWidth = windowCount(width, kernelWidth, options);
  const y = zeros([batch, outputs, outHeight, outWidth]);
  // Bare arrays: this loop is where the reference spends its time.
  const xs = x.values, ws = w.values;
  let yIndex = 0;
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      for (let i = 0; i < outHeight; i++) {
        for (let j = 0; j < outWidth; j++) {
          let sum = b ? b.values[o] : 0;
          for (let c = 0; c < channels; c++) {
            for (let u = 0; u < kernelHeight; u++) {
              const row = i * stride + u - padding;
              if (row < 0 || row >= height) continue;
              for (let v = 0; v < kernelWidth; v++) {
                const column = j * stride + v - padding;
                if (column < 0 || column >= width) continue;
                const xIndex = ((n * channels + c) * height + row) * width + column;
                const wIndex = ((o * channels + c) * kernelHeight + u) * kernelWidth + v;
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
 * x (N, C, H, W), w (O, C, KH, KW), dy (N, O, OH, OW).
 *
 * @throws {RangeError} where the shapes do not fit.
 */
export function conv2dBackward(
  x: RefTensor,
  w: RefTensor,
  dy: RefTensor,
  options: Conv2dOptions,
): Conv2dGradients {
  expectShape("x", x, [-1, -1, -1, -1]);
  expectShape("w", w, [-1, x.shape[1], -1, -1]);
  const [batch, channels, height, width] = x.shape;
  const [outputs, , kernelHeight, kernelWidth] = w.shape;
  const { stride, padding } = options;
  const outHeight = windowCount(height, kernelHeight, options);
  const outWidth = windowCount(width, kernelWidth, options);
  expectShape("dy", dy, [batch, outputs, outHeight, outWidth]);
  const dx = zeros(x.shape), dw = zeros(w.shape), db = zeros([outputs]);
  const xs = x.values, ws = w.values, dxs = dx.values, dws = dw.values;
  let yIndex = 0;
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      for (let i = 0; i < outHeight; i++) {
        for (let j = 0; j < outWidth; j++) {
          const gradient = dy.values[yIndex++];
          db.values[o] += gradient;
          // Pooling and ReLU leave most gradients 0, and 0 adds nothing to finite values.
          if (gradient === 0) continue;
          for (let c = 0; c < channels; c++) {
            for (let u = 0; u < kernelHeight; u++) {
              const row = i * stride + u - padding;
              if (row < 0 || row >= height) continue;
              for (let v = 0; v < kernelWidth; v++) {
                const column = j * stride + v - padding;
                if (column < 0 || column >= width) continue;
                const xIndex = ((n * channels + c) * height + row) * width + column;
                const wIndex = ((o * channels + c) * kernelHeight + u) * kernelWidth + v;
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
