/**
 * What a bench reports, as a JSON line and as a row of a table.
 *
 * @module
 */
import { formatTable } from "../src/text/table.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { computeShare, type Cost, type Peaks } from "./cost.ts";
import type { Measurement } from "./measure.ts";

/** One figure. The first five keys stand in every JSON line. */
export interface BenchRecord {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly adapter: string;
  /** (p90 - p10) / median over the samples, as a fraction. */
  readonly spread: number;
  /** The least time by the adapter's measured limits divided by the time taken. */
  readonly share?: number;
  /** The limit that binds most of the work: `fma` for peak_fma, `copy` for peak_copy. */
  readonly limit?: "fma" | "copy";
  /** The value of the fastest sample. */
  readonly best?: number;
  /** Milliseconds that one repetition took. */
  readonly timeMs?: number;
  readonly samples?: number;
  readonly readPath?: string;
  readonly [key: string]: string | number | undefined;
}

/** What turns a measurement into a record. */
export interface RecordOptions {
  readonly name: string;
  readonly unit: string;
  /** Units of work in a repetition, such as 1 step or 256 images. */
  readonly work: number;
  /** Given where the share of the adapter's limit is to be told. */
  readonly costs?: readonly Cost[];
  readonly peaks?: Peaks | undefined;
}

/** Makes a record of a rate: work divided by the median time, in units a second. */
export function recordRate(
  gpu: Gpu,
  { medianMs, bestMs, spread, samples }: Omit<Measurement, "repetitions">,
  { name, unit, work, costs, peaks }: RecordOptions,
): BenchRecord {
  const measured = { name, value: 1000 * work / medianMs, unit, adapter: gpu.adapter.name, spread };
  const how = { best: 1000 * work / bestMs, timeMs: medianMs, samples, readPath: gpu.path };
  return costs && peaks
    ? { ...measured, ...computeShare(costs, peaks, medianMs), ...how }
    : { ...measured, ...how };
}

/** A number with about four significant digits, and groups of thousands above that. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(4)));
}

/** A fraction as per cent. */
export function formatShare(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** The records as a table. */
export function formatRecords(records: readonly BenchRecord[]): string {
  const rows = records.map(({ name, value, best, unit, spread, share, limit }) => [
    name,
    formatNumber(value),
    best === undefined ? "-" : formatNumber(best),
    unit,
    formatShare(spread),
    share === undefined || limit === undefined ? "-" : `${formatShare(share)} of peak_${limit}`,
  ]);
  const align = ["left", "right", "right", "left", "right", "right"] as const;
  return formatTable(["name", "median", "best", "unit", "spread", "share"], rows, { align });
}
