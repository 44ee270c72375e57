/**
 * Learning-rate schedules, and the part of training over which parameters are averaged.
 *
 * @module
 */

import { checkNumbers } from "../checks.ts";

const act = "make schedule with", fraction = { atLeast: 0, atMost: 1 }, partial = { atLeast: 0, below: 1 };

/** The schedule of a phase: learning rate and averaging. */
export interface Schedule {
  /** The share of the learning rate at a step. */
  learningRateShare(step: number, steps: number): number;
  /** The number of values in the running mean after a step; 0 before averaging begins. */
  averagedCount(step: number, steps: number): number;
  /** Decay of an exponential mean, in (0, 1). Default: all averaged values weigh the same. */
  readonly emaDecay?: number;
}

/** The share of the learning rate at a zero-based step of a phase. */
export type RateShare = Schedule["learningRateShare"];

/** A constant learning rate. */
export function constantRate(): number {
  return 1;
}

/**
 * Multiplies the rate by `gamma` at each of the milestones, which are fractions of the phase. By default it falls to a
 * quarter at 60 %. As torch.optim.lr_scheduler.MultiStepLR.
 */
export function stepRate({ milestones = [0.6], gamma = 0.25 }: {
  readonly milestones?: readonly number[];
  readonly gamma?: number;
} = {}): RateShare {
  const checks = milestones.map((milestone, i) => [`milestones[${i}]`, [milestone, fraction]] as const);
  checkNumbers(act, { ...Object.fromEntries(checks), gamma: [gamma, { atLeast: 0 }] });
  return (step, steps) => gamma ** milestones.filter((milestone) => step >= milestone * steps).length;
}

/**
 * Falls along half a cosine from 1 to the share `floor`. Source: Loshchilov and Hutter 2017, arXiv 1608.03983, without
 * restarts; as torch.optim.lr_scheduler.CosineAnnealingLR, stepped once per step.
 */
export function cosineRate({ floor = 0 }: { readonly floor?: number } = {}): RateShare {
  checkNumbers(act, { floor: [floor, fraction] });
  return (step, steps) => floor + (1 - floor) * (1 + Math.cos(Math.PI * step / steps)) / 2;
}

/**
 * Rises along half a cosine from a 25th to 1 until `peakAt` of the phase, and falls along another to a 250,000th.
 * Source: Smith and Topin 2018, arXiv 1708.07120; as torch.optim.lr_scheduler.OneCycleLR with its default divisors,
 * two phases and constant momentum.
 */
export function oneCycleRate({ peakAt = 0.3 }: { readonly peakAt?: number } = {}): RateShare {
  checkNumbers(act, { peakAt: [peakAt, fraction] });
  const first = 1 / 25, last = first / 1e4;
  const between = (from: number, to: number, part: number) =>
    to + (from - to) * (1 + Math.cos(Math.PI * part)) / 2;
  return (step, steps) => {
    const peak = peakAt * steps - 1, end = steps - 1;
    if (step <= peak) return between(first, 1, peak > 0 ? step / peak : 1);
    return between(1, last, end > peak ? (step - peak) / (end - peak) : 1);
  };
}

/**
 * Rises linearly over the first fraction of a phase to the start of another rate, which covers the rest of the phase.
 * Source: Goyal et al. 2017, arXiv 1706.02677, section 2.2; as torch's SequentialLR of LinearLR and the other.
 */
export function warmedUp(rate: RateShare, rising: number): RateShare {
  checkNumbers(act, { rising: [rising, fraction] });
  return (step, steps) => {
    const first = Math.min(Math.round(rising * steps), steps - 1), rest = steps - first;
    return step < first ? (step + 1) / first * rate(0, rest) : rate(step - first, rest);
  };
}

/**
 * Replays the end of a phase from a fraction of it on, in [0, 1): fine-tuning by learning-rate rewinding. From 1 - t / T
 * on, a fine-tuning of t epochs repeats the last t of T epochs of training. Source: Renda, Frankle and Carbin 2020,
 * arXiv 2003.02389.
 */
export function rewoundTo(rate: RateShare, start: number): RateShare {
  checkNumbers(act, { start: [start, partial] });
  return (step, steps) => {
    const whole = Math.max(steps, Math.round(steps / (1 - start)));
    return rate(whole - steps + step, whole);
  };
}

/** Counts the averaged values from a fraction of the phase on, in [0, 1). The last step's value always counts. */
export function averagedFrom(start: number): Schedule["averagedCount"] {
  checkNumbers(act, { start: [start, partial] });
  return (step, steps) => Math.max(0, step + 1 - Math.min(steps - 1, Math.floor(start * steps)));
}

/**
 * The weight of a step's values in the running mean: 0 before averaging begins, 1 / n for the n-th, and (1 - d) / (1
 * - d^n) for an exponential mean, which has no bias towards the first.
 */
export function meanWeight({ averagedCount, emaDecay }: Schedule, step: number, steps: number): number {
  const count = averagedCount(step, steps);
  if (count === 0) return 0;
  return emaDecay === undefined ? 1 / count : (1 - emaDecay) / (1 - emaDecay ** count);
}

/**
 * The full learning rate, and a quarter of it from 60 % of the phase on. Values are averaged over the last quarter,
 * and always over the last step: averaging over the first steps would pull every |mean| towards zero. Source of late
 * averaging at a constant rate: Izmailov et al. 2018, arXiv 1803.05407.
 */
export const stepSchedule: Schedule = { learningRateShare: stepRate(), averagedCount: averagedFrom(0.75) };

/** Fine-tuning: the rate at which training by `stepSchedule` ended, averaged over the last quarter. */
export const finetuneSchedule: Schedule = {
  ...stepSchedule,
  learningRateShare: rewoundTo(stepRate(), 0.75),
};

/** A constant learning rate without averaging: the values after training are those of the last step. */
export const constantSchedule: Schedule = { learningRateShare: constantRate, averagedCount: () => 0 };

/** A constant learning rate, averaged over all steps. */
export const averagedSchedule: Schedule = { ...constantSchedule, averagedCount: averagedFrom(0) };
