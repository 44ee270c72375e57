/**
 * A parameter's confidence: running mean, diagonal Fisher information, prior precision and signal to noise, in f64.
 * The posterior is Laplace's with diagonal precision P = N F + lambda (MacKay 1992), z = |mu| sqrt(P).
 *
 * @module
 */
import { erf } from "./erf.ts";

/** What turns a mean and a Fisher diagonal into a posterior. */
export interface PosteriorOptions {
  /** The number N of examples that speak for the parameters. */
  readonly exampleCount: number;
  /** The prior precision lambda, one for all or one a parameter. */
  readonly priorPrecision: number | ArrayLike<number>;
}

/** Options of {@link evidencePrior}. */
export interface EvidenceOptions {
  /** The number N of examples. */
  readonly exampleCount: number;
  /** How often lambda is updated; 20 by default. */
  readonly rounds?: number;
  /** The least lambda; 1e-6 by default. */
  readonly lowest?: number;
  /** The greatest lambda, also that of a layer whose means are all 0; 1e12 by default. */
  readonly highest?: number;
}

/**
 * Moves a running mean in place to include the values of step `count` (1 for the first):
 * mean += (value - mean) / count.
 */
export function updateRunningMean(mean: Float64Array, values: ArrayLike<number>, count: number): void {
  for (let i = 0; i < mean.length; i++) mean[i] += (values[i] - mean[i]) / count;
}

/**
 * Moves the Fisher diagonal in place to include the gradient of batch `count`'s mean loss (1 for the first), so that
 * after all batches F_i = B * mean over batches of g_i^2.
 */
export function accumulateFisher(
  fisher: Float64Array,
  gradients: ArrayLike<number>,
  { batchSize, count }: { readonly batchSize: number; readonly count: number },
): void {
  for (let i = 0; i < fisher.length; i++) fisher[i] += (batchSize * gradients[i] ** 2 - fisher[i]) / count;
}

/** Returns the matched prior precision over all layers: lambda = n / sum mu^2. */
export function matchedPrior(means: readonly ArrayLike<number>[]): number {
  let count = 0, squares = 0;
  for (const mean of means) {
    count += mean.length;
    for (let i = 0; i < mean.length; i++) squares += mean[i] ** 2;
  }
  return count / squares;
}

/**
 * Returns one layer's prior precision by MacKay's evidence update (MacKay 1992, Bayesian Interpolation, section 4),
 * from lambda = n / sum mu^2: gamma = sum_i N F_i / (N F_i + lambda), lambda = gamma / sum mu^2, clamped each round.
 */
export function evidencePrior(
  mean: ArrayLike<number>,
  fisher: ArrayLike<number>,
  { exampleCount, rounds = 20, lowest = 1e-6, highest = 1e12 }: EvidenceOptions,
): number {
  let squares = 0;
  for (let i = 0; i < mean.length; i++) squares += mean[i] ** 2;
  if (squares === 0) return highest;
  const clamp = (precision: number) => Math.min(Math.max(precision, lowest), highest);
  let lambda = clamp(mean.length / squares);
  for (let round = 0; round < rounds; round++) {
    let gamma = 0;
    for (let i = 0; i < fisher.length; i++) {
      gamma += exampleCount * fisher[i] / (exampleCount * fisher[i] + lambda);
    }
    lambda = clamp(gamma / squares);
  }
  return lambda;
}

/** Returns the signal to noise z_i = |mu_i| sqrt(N F_i + lambda_i), in the length of the mean. */
export function signalToNoise(
  mean: ArrayLike<number>,
  fisher: ArrayLike<number>,
  { exampleCount, priorPrecision }: PosteriorOptions,
): Float64Array {
  return Float64Array.from(mean, (mu, i) => {
    const lambda = typeof priorPrecision === "number" ? priorPrecision : priorPrecision[i];
    return Math.abs(mu) * Math.sqrt(exampleCount * fisher[i] + lambda);
  });
}

/** Returns confidence_i = erf(z_i / sqrt 2) = P(right sign) - P(wrong sign), in [0, 1]. */
export function confidenceOf(z: ArrayLike<number>): Float64Array {
  return Float64Array.from(z, (value) => erf(value / Math.SQRT2));
}
