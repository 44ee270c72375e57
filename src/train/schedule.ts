/**
 * Learning-rate schedules and the part of training over which parameters are averaged.
 *
 * @module
 */

/** How a phase of so many steps runs. */
export interface Schedule {
  /** The share of the learning rate that a step takes. */
  learningRateShare(step: number, steps: number): number;
  /** How many values the running mean holds after a step; 0 where averaging has not begun. */
  averagedCount(step: number, steps: number): number;
}

/** Where the learning rate falls, as a fraction of a phase, and to what share of it. */
const fallsAt = 0.6, fallsTo = 0.25;

/** Where the running mean starts: averaging over the first steps would pull every |mean| towards zero. */
const averagesFrom = 0.75;

/**
 * The learning rate as given, and a quarter of it from 60 % of the phase on; averaged over the last quarter, the last
 * step always. Source of late averaging at a constant rate: Izmailov et al. 2018, arXiv 1803.05407.
 */
export const stepSchedule: Schedule = {
  learningRateShare: (step, steps) => step < fallsAt * steps ? 1 : fallsTo,
  averagedCount: (step, steps) =>
    Math.max(0, step + 1 - Math.min(steps - 1, Math.floor(averagesFrom * steps))),
};

/** Fine-tuning: the rate at which training by `stepSchedule` ended, averaged over the last quarter. */
export const finetuneSchedule: Schedule = { ...stepSchedule, learningRateShare: () => fallsTo };

/** A constant learning rate without averaging: the values after training are those of the last step. */
export const constantSchedule: Schedule = { learningRateShare: () => 1, averagedCount: () => 0 };

/** A constant learning rate, averaged over all steps. */
export const averagedSchedule: Schedule = { learningRateShare: () => 1, averagedCount: (step) => step + 1 };
