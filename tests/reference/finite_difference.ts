/**
 * Numerical gradients by central differences in f64.
 *
 * @module
 */
import { assertClose, maxAbs, type RefTensor } from "./tensor.ts";

/** Options of {@link assertGradient}. */
export interface GradientOptions {
  /** What the message calls the gradient. */
  readonly name: string;
  /** The step h; 1e-4 by default. */
  readonly step?: number;
}

/**
 * Returns (f(t + h e_i) - f(t - h e_i)) / 2h for every i, moving the tensor's values in place and setting them back.
 */
export function centralDifferences(evaluate: () => number, tensor: RefTensor, step: number): Float64Array {
  const { values } = tensor;
  return Float64Array.from(values, (value, i) => {
    values[i] = value + step;
    const above = evaluate();
    values[i] = value - step;
    const below = evaluate();
    values[i] = value;
    return (above - below) / (2 * step);
  });
}

/**
 * Asserts that a gradient is that of `evaluate` with respect to the tensor that it reads.
 * The error allowed is truncation plus rounding. Truncation, h^2 f''' / 6 to leading order, is measured: it is
 * (D(2h) - D(h)) / 3 with D the central difference, of which three times the largest is taken. Rounding is
 * k 2^-53 max(1, |f|) / h with k = 2^10 for the operations whose roundings reach one value of f. Within 2h of the
 * tensor's values `evaluate` must be smooth: a kink would widen the error allowed.
 *
 * @throws {RangeError} where they differ.
 */
export function assertGradient(
  evaluate: () => number,
  tensor: RefTensor,
  gradient: RefTensor,
  { name, step = 1e-4 }: GradientOptions,
): void {
  const near = centralDifferences(evaluate, tensor, step);
  const far = centralDifferences(evaluate, tensor, 2 * step);
  const truncation = maxAbs(far.map((slope, i) => slope - near[i]));
  const rounding = 2 ** 10 * 2 ** -53 * Math.max(1, Math.abs(evaluate())) / step;
  assertClose(gradient.values, near, { tolerance: truncation + rounding, name });
}
