/**
 * Timing: repetitions in flight together, completion awaited, medians over several samples.
 *
 * @module
 */
import type { Gpu } from "../src/gpu/device.ts";

/** Work that is timed. */
export interface Workload {
  /** Submits one repetition without waiting for it. */
  readonly submit: () => void;
  /** Resolves when all that was submitted is done. */
  readonly finish: () => Promise<void>;
}

/** How long to time. */
export interface MeasureOptions {
  /** Seconds that all samples together should take. */
  readonly seconds: number;
  /** Samples at least, however long one takes; 5 where left out. */
  readonly samples?: number;
}

/** What one repetition took. */
export interface Measurement {
  readonly medianMs: number;
  /** The fastest sample: nearer to what the adapter can do where the machine does other things too. */
  readonly bestMs: number;
  /** (p90 - p10) / median over the samples, as a fraction. */
  readonly spread: number;
  readonly samples: number;
  /** Repetitions that a sample had in flight. */
  readonly repetitions: number;
}

/** Repetitions in flight at most: what they hold in command buffers and queue writes is bounded by it. */
const maxInFlight = 256;

/** The value below which a share of sorted values lies, interpolated. */
function quantile(sorted: readonly number[], share: number): number {
  const position = share * (sorted.length - 1), below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (position - below) * (sorted[above]! - sorted[below]!);
}

/** The median of values and (p90 - p10) / median. */
export function summarize(values: readonly number[]): { readonly median: number; readonly spread: number } {
  const sorted = [...values].sort((a, b) => a - b), median = quantile(sorted, 0.5);
  return { median, spread: (quantile(sorted, 0.9) - quantile(sorted, 0.1)) / median };
}

/** Milliseconds that a number of repetitions took, from the first submit to the end of the wait. */
export async function timeRepetitions({ submit, finish }: Workload, repetitions: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < repetitions; i++) submit();
  await finish();
  return performance.now() - start;
}

/** Warms a workload up and returns how many repetitions fill a number of milliseconds. */
async function fitRepetitions(workload: Workload, wantedMs: number): Promise<number> {
  await timeRepetitions(workload, 1);
  let repetitions = 1, lastMs = await timeRepetitions(workload, 1);
  // Short workloads are estimated again with more in flight, since one repetition is mostly wait.
  while (lastMs < wantedMs / 4 && repetitions < maxInFlight) {
    repetitions = Math.min(maxInFlight, repetitions * 4);
    lastMs = await timeRepetitions(workload, repetitions);
  }
  return Math.max(1, Math.min(maxInFlight, Math.round(repetitions * wantedMs / lastMs)));
}

/**
 * Times workloads after warming them up, a sample of each in turn, so that what else the machine does meets all of
 * them alike. Returns the milliseconds of a repetition, by workload and sample.
 */
export async function sampleInTurn(
  workloads: readonly Workload[],
  { seconds, samples = 5 }: MeasureOptions,
): Promise<readonly { readonly timesMs: readonly number[]; readonly repetitions: number }[]> {
  const prepared: { workload: Workload; repetitions: number; timesMs: number[] }[] = [];
  for (const workload of workloads) {
    prepared.push({
      workload,
      repetitions: await fitRepetitions(workload, 1000 * seconds / samples),
      timesMs: [],
    });
  }
  for (let i = 0; i < samples; i++) {
    for (const { workload, repetitions, timesMs } of prepared) {
      timesMs.push(await timeRepetitions(workload, repetitions) / repetitions);
    }
  }
  return prepared;
}

/**
 * Times a workload after warming it up. A wait costs a fixed time (11 ms in Deno), so a sample has as many repetitions
 * in flight as fill its share of the time; what is left of the wait makes a figure slightly too slow, never too fast.
 */
export async function measure(workload: Workload, options: MeasureOptions): Promise<Measurement> {
  const [{ timesMs, repetitions }] = await sampleInTurn([workload], options) as [
    { timesMs: readonly number[]; repetitions: number },
  ];
  return { ...summarizeTimes(timesMs), repetitions };
}

/** The measurement that samples of one workload make. */
export function summarizeTimes(timesMs: readonly number[]): Omit<Measurement, "repetitions"> {
  const { median, spread } = summarize(timesMs);
  return { medianMs: median, bestMs: Math.min(...timesMs), spread, samples: timesMs.length };
}

/** Resolves when the device is done with all that was submitted, and reports what went wrong in it. */
export async function finishWork(gpu: Gpu): Promise<void> {
  await gpu.device.queue.onSubmittedWorkDone();
  gpu.check();
}
