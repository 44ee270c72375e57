/**
 * Activations (torch.nn.LeakyReLU, SiLU, GELU, ELU, Hardtanh, Hardsigmoid, Hardswish, Mish, Sigmoid and Tanh) and their derivatives, in f64.
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

/** alpha (exp(x) - 1) for x <= 0, else x; the derivative at 0 is alpha, as in PyTorch. */
export function elu(alpha: number): Activation {
  return {
    value: (x) => x > 0 ? x : alpha * Math.expm1(x),
    slope: (x) => x > 0 ? 1 : alpha * Math.exp(x),
  };
}

/** min(max(x, min), max); the derivative at both bounds is 0, as in PyTorch. */
export function clip(min: number, max: number): Activation {
  return {
    value: (x) => Math.min(Math.max(x, min), max),
    slope: (x) => x > min && x < max ? 1 : 0,
  };
}

/** min(max(alpha x + beta, 0), 1). */
export function hardSigmoid(alpha: number, beta: number): Activation {
  const line = (x: number) => alpha * x + beta;
  return {
    value: (x) => Math.min(Math.max(line(x), 0), 1),
    slope: (x) => line(x) > 0 && line(x) < 1 ? alpha : 0,
  };
}

/** x min(max(x + 3, 0), 6) / 6. */
export const hardSwish: Activation = {
  value: (x) => x * Math.min(Math.max(x + 3, 0), 6) / 6,
  slope: (x) => x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 1 / 2,
};

/** x tanh(log(1 + exp(x))). */
export const mish: Activation = {
  value: (x) => x * Math.tanh(softplus(x)),
  slope: (x) => {
    const tanh = Math.tanh(softplus(x));
    return tanh + x * (1 - tanh * tanh) * sigmoid.value(x);
  },
};

/** log(1 + exp(x)), also where exp(x) is infinite. */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** 1 / (1 + exp(-x)). */
export const sigmoid: Activation = {
  value: (x) => 1 / (1 + Math.exp(-x)),
  slope: (x) => 1 / (1 + Math.exp(-x)) / (1 + Math.exp(x)),
};

/** tanh(x). */
export const tanh: Activation = {
  value: (x) => Math.tanh(x),
  slope: (x) => 4 * sigmoid.slope(2 * x),
};

/** The slope of each number of a map: that of its channel, or the only one. */
function slopeIndex(
  { shape: [batch, channels], values }: RefTensor,
  slopes: RefTensor,
): (i: number) => number {
  const area = values.length / batch / channels;
  return (i) => slopes.values.length === 1 ? 0 : Math.floor(i / area) % channels;
}

/** x for x > 0, else slope x (torch.nn.PReLU). x (N, C, ...), slopes (C) or (1). */
export function preluForward(x: RefTensor, slopes: RefTensor): RefTensor {
  const at = slopeIndex(x, slopes);
  return {
    shape: x.shape,
    values: x.values.map((value, i) => value > 0 ? value : slopes.values[at(i)] * value),
  };
}

/** Differentiates {@link preluForward}; at 0 its derivative is the slope, as in PyTorch. */
export function preluBackward(
  x: RefTensor,
  slopes: RefTensor,
  dy: RefTensor,
): { readonly dx: RefTensor; readonly dSlopes: RefTensor } {
  const at = slopeIndex(x, slopes), sums = new Float64Array(slopes.values.length);
  const dx = dy.values.map((gradient, i) => {
    if (x.values[i] > 0) return gradient;
    sums[at(i)] += gradient * x.values[i];
    return gradient * slopes.values[at(i)];
  });
  return { dx: { shape: x.shape, values: dx }, dSlopes: { shape: slopes.shape, values: sums } };
}

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
