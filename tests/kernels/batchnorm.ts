/**
 * Operands of batch normalisation, and how far f32 may take each result from the f64 reference.
 *
 * @module
 */
import { countQuads } from "../../src/shape.ts";
import { batchNorm2dBackward, type BatchNorm2dState, batchNorm2dTrain } from "../reference/batchnorm2d.ts";
import { F32_ROUNDOFF, maxAbs, randomTensor, type RefTensor, sumTolerance } from "../reference/tensor.ts";
import { toQuads } from "./harness.ts";
import { divisionRoundings, sqrtRoundings, unwritten } from "./precision.ts";

/** Shapes of x: two values a channel, odd sizes, and more than one workgroup. */
export const shapes = [[1, 1, 1, 2], [2, 3, 5, 7], [3, 17, 9, 6], [2, 5, 24, 24]];
/** PyTorch's defaults, as f32 holds them. */
export const eps = Math.fround(1e-5), momentum = Math.fround(.1);

/** A random input whose mean is three times its spread, so that E x^2 - (E x)^2 would lose digits. */
export function operandsOf(
  shape: readonly number[],
): BatchNorm2dState & { readonly x: RefTensor; readonly dy: RefTensor } {
  const channels = [shape[1]];
  const shifted = (tensor: RefTensor, by: number) => ({
    shape: tensor.shape,
    values: tensor.values.map((value) => Math.fround(value + by)),
  });
  return {
    x: shifted(randomTensor(shape, 1), 3),
    dy: randomTensor(shape, 2),
    gamma: randomTensor(channels, 3),
    beta: randomTensor(channels, 4),
    runningMean: randomTensor(channels, 5),
    runningVar: shifted(randomTensor(channels, 6, .5), 1),
  };
}

/** Bounds on the errors of one chain of dispatches, the largest over the channels. */
export function errorsOf({ x, dy, gamma, ...state }: ReturnType<typeof operandsOf>) {
  const rows = x.values.length / gamma.values.length;
  const { mean, variance } = batchNorm2dTrain(x, { gamma, ...state }, { eps, momentum });
  const { dgamma, dbeta } = batchNorm2dBackward(x, gamma, dy, { eps });
  const deviation = Math.sqrt(Math.min(...variance.values) + eps);
  const xhat = Math.max(...mean.values.map((m) => Math.max(...x.values.map((v) => Math.abs(v - m))))) /
    deviation;
  const meanError = sumTolerance(rows + 2, maxAbs(x.values));
  // (x - mean)^2 is off by three roundings a term; the scale is rounded and multiplied.
  const varianceError = sumTolerance(rows + 5, maxAbs(variance.values)) + meanError ** 2;
  const deviationError = (1 + sqrtRoundings) * F32_ROUNDOFF + varianceError / deviation ** 2 / 2;
  const xhatError = meanError / deviation +
    xhat * (deviationError + (1 + divisionRoundings) * F32_ROUNDOFF);
  const scale = maxAbs(gamma.values);
  const dySize = maxAbs(dy.values), dgammaSize = maxAbs(dgamma.values), dbetaSize = maxAbs(dbeta.values);
  const dgammaError = rows * dySize * xhatError + sumTolerance(rows + 3, rows * dySize * xhat);
  const dbetaError = sumTolerance(rows + 2, rows * dySize);
  const centred = dySize + (dbetaSize + xhat * dgammaSize) / rows;
  const centredError = (dbetaError + xhat * dgammaError + xhatError * dgammaSize) / rows +
    5 * F32_ROUNDOFF * centred;
  return {
    mean: meanError,
    variance: varianceError,
    y: scale * xhatError + 2 * F32_ROUNDOFF * (scale * xhat + 1),
    dgamma: dgammaError,
    dbeta: dbetaError,
    dx: scale / deviation *
      (centredError + centred * (deviationError + (1 + divisionRoundings) * F32_ROUNDOFF)),
    // (1 - momentum) old + momentum correction new: five roundings, and the new value's own error.
    running: 5 * F32_ROUNDOFF * 4 + Math.max(meanError, 2 * varianceError),
  };
}

/** Two vectors of channels as an arena: one at quad 1, one at quad 2 + quads, NaN elsewhere. */
export function arenaOf(first: RefTensor, second: RefTensor): Float32Array {
  const channels = first.values.length, quads = countQuads(channels);
  const arena = unwritten(4 * (2 * quads + 3));
  arena.set(toQuads(first.values, 1, channels), 4);
  arena.set(toQuads(second.values, 1, channels), 4 * (2 + quads));
  return arena;
}
