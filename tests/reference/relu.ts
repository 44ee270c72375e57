/**
 * The rectifier (torch.nn.ReLU), forward and backward, in f64.
 *
 * @module
 */
import { expectShape, type RefTensor } from "./tensor.ts";

/** Clips at zero: y = max(x, 0), NaN staying NaN. Any shape. */
export function reluForward(x: RefTensor): RefTensor {
  return { shape: x.shape, values: x.values.map((value) => value <= 0 ? 0 : value) };
}

/**
 * Differentiates {@link reluForward}: dx = dy where x > 0, else 0 (PyTorch's choice at 0). The output y serves in
 * place of x, as both have one sign pattern. Any shape.
 *
 * @throws {RangeError} where the shapes differ.
 */
export function reluBackward(x: RefTensor, dy: RefTensor): RefTensor {
  expectShape("dy", dy, x.shape);
  return { shape: x.shape, values: dy.values.map((gradient, i) => x.values[i] <= 0 ? 0 : gradient) };
}
