/**
 * Activations (torch.nn.LeakyReLU, SiLU and GELU) and their derivatives, in f64.
 *
 * @module
 */
import { erf } from "./erf.ts";
import { expectShape, type RefTensor } from "./tensor.ts";

/** A function of one number and its derivative. */
export interface Activation {
  readonly value: (x: number) => number;
  readonly slope: (x: number) => number;
}

/** x for x > 0, else negativeSlope x; the derivative at 0 is negativeSlope, as in PyTorch. */
export function leakyRelu(negativeSlope: number): Activation {
  return {
    value: (x) => x > 0 ? x : negativeSlope * x,
    slope: (x) => x > 0 ? 1 : negativeSlope,
  };
}

/** x / (1 + exp(-x)). */
export const silu: Activation = {
  value: (x) => x / (1 + Math.exp(-x)),
  slope: (x) => (1 + x / (1 + Math.exp(x))) / (1 + Math.exp(-x)),
};

/** x / 2 (1 + erf(x / sqrt 2)). */
export const gelu: Activation = {
  value: (x) => x / 2 * (1 + erf(x / Math.SQRT2)),
  slope: (x) => (1 + erf(x / Math.SQRT2)) / 2 + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI),
};

/** x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
export const geluTanh: Activation = {
  value: (x) => x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  slope: (x) => {
    const tanh = Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3));
    return (1 + tanh) / 2 + x / 2 * (1 - tanh * tanh) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
  },
};

/** Applies an activation to every number. Any shape. */
export function activationForward({ shape, values }: RefTensor, { value }: Activation): RefTensor {
  return { shape, values: values.map(value) };
}

/**
 * Differentiates {@link activationForward}: dx = dy slope(x). Any shape.
 *
 * @throws {RangeError} where the shapes differ.
 */
export function activationBackward(x: RefTensor, dy: RefTensor, { slope }: Activation): RefTensor {
  expectShape("dy", dy, x.shape);
  return { shape: x.shape, values: dy.values.map((gradient, i) => gradient * slope(x.values[i])) };
}
