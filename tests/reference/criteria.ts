/**
 * Pruning criteria, exact order statistics and the mask they give, in f64.
 *
 * @module
 */

/** Scores by magnitude: |mu|. */
export function magnitudeScores(mean: ArrayLike<number>): Float64Array {
  return Float64Array.from(mean, Math.abs);
}

/** Scores by gradient: |g|, g the mean over batches of the gradient of the batch-mean loss. */
export function gradientScores(meanGradient: ArrayLike<number>): Float64Array {
  return Float64Array.from(meanGradient, Math.abs);
}

/** Scores by the first-order Taylor term: |mu g| (Molchanov et al. 2017). */
export function taylorScores(mean: ArrayLike<number>, meanGradient: ArrayLike<number>): Float64Array {
  return Float64Array.from(mean, (mu, i) => Math.abs(mu * meanGradient[i]));
}

/** Scores by optimal brain damage: mu^2 F / 2 (LeCun, Denker and Solla 1990, the Fisher as Hessian). */
export function obdScores(mean: ArrayLike<number>, fisher: ArrayLike<number>): Float64Array {
  return Float64Array.from(mean, (mu, i) => mu ** 2 * fisher[i] / 2);
}

/**
 * Returns the k-th smallest score, k = 1 being the smallest; equal scores each count.
 *
 * @throws {RangeError} where k is not an integer in [1, length] or a score is NaN.
 */
export function kthSmallest(scores: ArrayLike<number>, k: number): number {
  if (!Number.isInteger(k) || k < 1 || k > scores.length) {
    throw new RangeError(`Cannot select "k": ${k}, expected an integer in [1, ${scores.length}]`);
  }
  return scores[ascendingOrder(scores)[k - 1]];
}

/**
 * Returns the mask (1 = keep) that removes exactly `removeCount` of the lowest scores; of equal scores the lower
 * index goes first.
 *
 * @throws {RangeError} where the count is not an integer in [0, length] or a score is NaN.
 */
export function pruneMask(scores: ArrayLike<number>, removeCount: number): Uint8Array {
  if (!Number.isInteger(removeCount) || removeCount < 0 || removeCount > scores.length) {
    throw new RangeError(
      `Cannot remove "removeCount": ${removeCount}, expected an integer in [0, ${scores.length}]`,
    );
  }
  const mask = new Uint8Array(scores.length).fill(1);
  for (const index of ascendingOrder(scores).subarray(0, removeCount)) mask[index] = 0;
  return mask;
}

/** Returns the indices by ascending score, then ascending index; -0 equals 0. */
function ascendingOrder(scores: ArrayLike<number>): Uint32Array {
  for (let i = 0; i < scores.length; i++) {
    if (Number.isNaN(scores[i])) throw new RangeError(`Cannot rank "scores[${i}]": NaN, expected a number`);
  }
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i);
  // Compared by order, not by difference: infinity - infinity is NaN.
  return order.sort((a, b) => scores[a] < scores[b] ? -1 : scores[a] > scores[b] ? 1 : a - b);
}

/** Scores by layer-adaptive magnitude: w^2 over the sum of u^2 over all u with |u| >= |w| (Lee et al. 2021). */
export function lampScores(weights: ArrayLike<number>): Float64Array {
  const squares = Array.from(weights, (weight) => weight ** 2);
  return Float64Array.from(squares, (square) => {
    let sum = 0;
    for (const other of squares) if (other >= square) sum += other;
    return sum === 0 ? 0 : square / sum;
  });
}

/** Scores of filters by the sum of their Euclidean distances to those of their layer (He et al. 2019), a weight each. */
export function fpgmScores(weights: ArrayLike<number>, filters: number): Float64Array {
  const size = weights.length / filters;
  const distances = Array.from({ length: filters }, (_, a) => {
    let sum = 0;
    for (let b = 0; b < filters; b++) {
      let squares = 0;
      for (let i = 0; i < size; i++) squares += (weights[a * size + i] - weights[b * size + i]) ** 2;
      sum += Math.sqrt(squares);
    }
    return sum;
  });
  return Float64Array.from(weights, (_, i) => distances[Math.floor(i / size)]);
}

/** Scores by signal to noise over snapshots: |mean| / deviation, the deviation at least 1e-20. */
export function snrScores(mean: ArrayLike<number>, variance: ArrayLike<number>): Float64Array {
  return Float64Array.from(mean, (mu, i) => Math.abs(mu) / Math.max(Math.sqrt(variance[i]), 1e-20));
}
