/**
 * The chi-square distribution in f64.
 *
 * @module
 */

/** Computes log Gamma(x) for a positive multiple of one half, by the recurrence from Gamma(1/2) and Gamma(1). */
function logGamma(x: number): number {
  let sum = 0, y = x;
  for (; y > 1; y--) sum += Math.log(y - 1);
  return y === 1 ? sum : sum + Math.log(Math.PI) / 2;
}

/**
 * Computes P(chi^2_d <= x), the regularised lower incomplete gamma function P(d / 2, x / 2), by the series
 * s^a exp(-s) / Gamma(a + 1) sum_n s^n / ((a + 1) ... (a + n)) (DLMF 8.11.4), whose terms have one sign.
 */
export function chiSquareBelow(x: number, degrees: number): number {
  const a = degrees / 2, s = x / 2;
  if (s === 0) return 0;
  let term = 1, sum = 1;
  for (let n = 1; term > 1e-17 * sum; n++) {
    term *= s / (a + n);
    sum += term;
  }
  return Math.exp(a * Math.log(s) - s - logGamma(a) - Math.log(a)) * sum;
}
