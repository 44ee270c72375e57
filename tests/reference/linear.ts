/**
 * The fully connected layer (torch.nn.Linear), forward and backward, in f64.
 *
 * @module
 */
import { expectShape, type RefTensor, zeros } from "./tensor.ts";

/** Gradients of a linear layer, each in the shape of what it belongs to. */
export interface LinearGradients {
  readonly dx: RefTensor;
  readonly dw: RefTensor;
  readonly db: RefTensor;
}

/**
 * Multiplies: y = x w^T + b (torch.nn.Linear).
 *
 * x (N, in), w (out, in), b (out) or undefined for none; returns y (N, out).
 *
 * @throws {RangeError} where the shapes do not fit.
 */
export function linearForward(x: RefTensor, w: RefTensor, b?: RefTensor): RefTensor {
  expectShape("x", x, [-1, -1]);
  expectShape("w", w, [-1, x.shape[1]]);
  if (b) expectShape("b", b, [w.shape[0]]);
  const [batch, inputs] = x.shape;
  const outputs = w.shape[0];
  const y = zeros([batch, outputs]);
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      let sum = b ? b.values[o] : 0;
      for (let i = 0; i < inputs; i++) sum += x.values[n * inputs + i] * w.values[o * inputs + i];
      y.values[n * outputs + o] = sum;
    }
  }
  return y;
}

/**
 * Differentiates {@link linearForward}: dx = dy w, dw = dy^T x, db = the sum of dy over examples.
 *
 * x (N, in), w (out, in), dy (N, out).
 *
 * @throws {RangeError} where the shapes do not fit.
 */
export function linearBackward(x: RefTensor, w: RefTensor, dy: RefTensor): LinearGradients {
  expectShape("x", x, [-1, -1]);
  expectShape("w", w, [-1, x.shape[1]]);
  expectShape("dy", dy, [x.shape[0], w.shape[0]]);
  const [batch, inputs] = x.shape;
  const outputs = w.shape[0];
  const dx = zeros(x.shape), dw = zeros(w.shape), db = zeros([outputs]);
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      const gradient = dy.values[n * outputs + o];
      db.values[o] += gradient;
      for (let i = 0; i < inputs; i++) {
        dx.values[n * inputs + i] += gradient * w.values[o * inputs + i];
        dw.values[o * inputs + i] += gradient * x.values[n * inputs + i];
      }
    }
  }
  return { dx, dw, db };
}
