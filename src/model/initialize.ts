/**
 * First values of parameters.
 *
 * @module
 */
import { openRandomStream } from "../random.ts";
import type { ParameterSpec } from "./layer.ts";

/**
 * Draws the first values of a parameter in PyTorch's order, as PyTorch's layers do by default: uniform within
 * 1 / sqrt(fan in) for weights and biases, ones and zeros for batch norm.
 *
 * @param stream The parameter's stream of random numbers, such as `conv1.weight`. Each parameter has its own stream
 *   of the seed.
 */
export function initialValues(
  { rows, taps, channels, initial }: ParameterSpec,
  { seed, stream: name }: { readonly seed: number; readonly stream: string },
): Float32Array {
  const values = new Float32Array(rows * taps * channels);
  if ("constant" in initial) return values.fill(initial.constant);
  const random = openRandomStream(seed, `initialize ${name}`);
  return values.map(() => (2 * random.nextUniform() - 1) * initial.bound);
}
