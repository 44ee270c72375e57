/**
 * Learning-rate schedule and the part of training over which parameters are averaged.
 *
 * @module
 */

/** Where the learning rate falls, as a fraction of a phase, and to what share of it. */
const fallsAt = 0.6, fallsTo = 0.25;

/** Where the running mean starts: averaging over the first steps would pull every |mean| towards zero. */
const averagesFrom = 0.75;

/** The learning rate at a step of a phase: as given, and a quarter of it from 60 % of the phase on. */
export function learningRateAt(
  step: number,
  { steps, learningRate }: { readonly steps: number; readonly learningRate: number },
): number {
  return step < fallsAt * steps ? learningRate : fallsTo * learningRate;
}

/**
 * How many values the running mean holds after a step of a phase; 0 where averaging has not begun. The last step is
 * always averaged. Source of late averaging at a constant rate: Izmailov et al. 2018, arXiv 1803.05407.
 */
export function averagedCount(step: number, steps: number): number {
  const first = Math.min(steps - 1, Math.floor(averagesFrom * steps));
  return Math.max(0, step - first + 1);
}
