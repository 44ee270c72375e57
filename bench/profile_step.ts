/**
 * Where the time of one training step goes, by kernel.
 *
 * @module
 */
import { formatTable } from "../src/text/table.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { DispatchTimer } from "../src/gpu/profile.ts";
import { measurePeaks } from "./benches.ts";
import { computeShare, type Cost } from "./cost.ts";
import { type MeasureOptions, summarizeTimes, timeRepetitions } from "./measure.ts";
import { type BenchRecord, formatNumber, formatShare } from "./record.ts";
import { benchGraph, openStep, type StepOptions } from "./steps.ts";

/** The step that is profiled: that of `seed_train_steps`. */
const profiledStep: StepOptions = { graph: benchGraph, batch: 64, mode: "train" };

/** Unprofiled steps that are timed together, so that their wait counts little. */
const inFlight = 4;

/** How long a profile takes and of what it is. */
export interface ProfileOptions extends MeasureOptions {
  readonly step?: StepOptions;
}

/** A step's dispatches with their times. */
export interface StepProfile {
  /** A record a dispatch, then `profile_gaps`, `profile_sum` and `profile_step`, all in ms. */
  readonly records: readonly BenchRecord[];
  /** Median milliseconds of an unprofiled step. */
  readonly stepMs: number;
  readonly runs: number;
}

/**
 * Times the dispatches of a training step over several runs, and the step without timing its dispatches.
 *
 * @throws {AdapterError} Where the adapter has no timestamp queries.
 */
export async function profileStep(
  gpu: Gpu,
  { step: options = profiledStep, ...measureOptions }: ProfileOptions,
): Promise<StepProfile> {
  using step = await openStep(gpu, options);
  using timer = new DispatchTimer(gpu, step.plan.dispatches.length);
  const peaks = await measurePeaks(gpu, measureOptions);
  await timeRepetitions(step, 1);
  const onceMs = await timeRepetitions(step, 1);
  const runs = Math.max(
    3,
    Math.min(20, Math.round(1000 * measureOptions.seconds / (onceMs * (1 + inFlight)))),
  );
  const stepTimesMs: number[] = [];
  // In turn, so that what else the machine does meets both alike.
  for (let i = 0; i < runs; i++) {
    stepTimesMs.push(await timeRepetitions(step, inFlight) / inFlight);
    step.observe(timer);
    await timer.collect();
  }
  const { medianMs: stepMs, spread } = summarizeTimes(stepTimesMs);
  const { times } = timer, adapter = gpu.adapter.name, unit = "ms", readPath = gpu.path;
  const timed = times.map(({ dispatch, timeMs }, i): BenchRecord => ({
    name: "profile",
    value: timeMs,
    unit,
    adapter,
    spread: 0,
    label: dispatch.label,
    kernel: dispatch.kernel,
    shareOfStep: timeMs / stepMs,
    ...computeRate(step.costs[i]!, timeMs),
    ...computeShare([step.costs[i]!], peaks, timeMs),
    readPath,
  }));
  const sum = times.reduce((total, { timeMs }) => total + timeMs, 0);
  const gaps = times.reduce((total, { gapMs }) => total + gapMs, 0);
  const total = (name: string, value: number, of: number) => ({
    name,
    value,
    unit,
    adapter,
    spread: of,
    shareOfStep: value / stepMs,
    readPath,
  });
  const records = [
    ...timed,
    total("profile_gaps", gaps, 0),
    total("profile_sum", sum, 0),
    total("profile_step", stepMs, spread),
  ];
  return { records, stepMs, runs };
}

/** What a dispatch did in a second: multiply-adds where it is a matrix product, else bytes, where they are known. */
function computeRate({ flops, bytes }: Cost, timeMs: number): { rate?: number; rateUnit?: string } {
  if (flops > 0) return { rate: flops / timeMs / 1e6, rateUnit: "GFLOP/s" };
  return bytes > 0 ? { rate: bytes / timeMs / 1e6, rateUnit: "GB/s" } : {};
}

/** The profile as a table, longest dispatch first, with the sum against the step. */
export function formatProfile({ records, stepMs, runs }: StepProfile): string {
  const rows = records.filter(({ name }) => name === "profile")
    .sort((a, b) => b.value - a.value)
    .map(({ label, kernel, value, shareOfStep, rate, rateUnit, share, limit }) => [
      String(label),
      String(kernel),
      formatNumber(value),
      formatShare(Number(shareOfStep)),
      rate === undefined ? "-" : `${formatNumber(Number(rate))} ${rateUnit}`,
      rate === undefined ? "-" : `${formatShare(share!)} of peak_${limit}`,
    ]);
  const valueOf = (name: string) => records.find((record) => record.name === name)!.value;
  const sum = valueOf("profile_sum"), gaps = valueOf("profile_gaps");
  const head = ["label", "kernel", "ms", "of step", "rate", "share"];
  const table = formatTable(head, rows, { align: ["left", "left", "right", "right", "right", "right"] });
  return `${table}\n\nMean of ${runs} runs. Kernels ${formatNumber(sum)} ms, ${
    formatShare(sum / stepMs)
  } of the ` +
    `${formatNumber(stepMs)} ms of an unprofiled step; between them (copies into textures, idling) ` +
    `${formatNumber(gaps)} ms.\n`;
}
