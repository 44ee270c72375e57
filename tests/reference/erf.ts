/**
 * The error function in f64.
 *
 * @module
 */

/**
 * Computes erf(x) = 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, to about 1e-15.
 * Below 2.5 the series 2 / sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!! (DLMF 7.6.2), whose terms have one
 * sign so nothing cancels; above it 1 - {@link erfc}.
 */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (!(size < 2.5)) return Number.isNaN(x) ? NaN : Math.sign(x) * (1 - erfcTail(size));
  let term = x, sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= 2 * x * x / (2 * n + 1);
    sum += term;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
}

/** Computes erfc(x) = 1 - erf(x), keeping its relative precision where x is large. */
export function erfc(x: number): number {
  return x < 2.5 || Number.isNaN(x) ? 1 - erf(x) : erfcTail(x);
}

/**
 * Computes erfc(x) for x >= 2.5 by the continued fraction
 * exp(-x^2) / sqrt(pi) 1 / (x + (1/2) / (x + 1 / (x + (3/2) / (x + ...)))) (DLMF 7.9.1), evaluated from its 120th
 * level up, where at 2.5 it has long converged.
 */
function erfcTail(x: number): number {
  let tail = x;
  for (let k = 120; k >= 1; k--) tail = x + k / 2 / tail;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / tail;
}

/** The probability that a normal deviate lies below x, to about 1e-15. */
export function normalBelow(x: number): number {
  return (1 + erf(x / Math.SQRT2)) / 2;
}
