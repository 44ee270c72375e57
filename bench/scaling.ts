/**
 * How time grows with batch, width, depth and parameters.
 *
 * @module
 */
import { formatTable } from "../src/text/table.ts";
import { isWinnowError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/device.ts";
import type { Graph } from "../src/model/graph.ts";
import type { LayerSpec } from "../src/model/layers/index.ts";
import { seedNetwork } from "../src/model/presets.ts";
import { openConfidence } from "./confidence.ts";
import { totalCost } from "./cost.ts";
import { measure, type MeasureOptions } from "./measure.ts";
import { type BenchRecord, formatNumber } from "./record.ts";
import { benchGraph, openStep } from "./steps.ts";

/** The points that are measured. */
export interface ScalingPoints {
  /** Examples of a training step. */
  readonly batches: readonly number[];
  /** Factors on the numbers of channels and features. */
  readonly widths: readonly number[];
  /** Numbers of convolutions. */
  readonly depths: readonly number[];
  /** Numbers of parameters that are scored and selected, multiples of 1,000. */
  readonly parameters: readonly number[];
  /** Examples of the steps of other widths and depths. */
  readonly batch: number;
}

/** The points of docs/results.md. */
const defaultPoints: ScalingPoints = {
  batches: [16, 32, 64, 128, 256, 512],
  widths: [0.5, 1, 2],
  depths: [1, 2, 3, 4],
  parameters: [100_000, 1_000_000, 10_000_000, 100_000_000],
  batch: 64,
};

/** A network like the seed's with a number of convolutions: the first two are pooled, the others keep 8 x 8. */
export function deepNetwork(depth: number): Graph {
  const input = { channels: 3, height: 32, width: 32 };
  const convolutions = Array.from({ length: depth }, (_, i): LayerSpec[] => {
    const shape = { kernel: 3, stride: 1, padding: 1, bias: true, outChannels: i === 0 ? 32 : 64 } as const;
    const pool: LayerSpec = {
      kind: "maxpool2d",
      name: `pool${i + 1}`,
      kernel: 2,
      stride: 2,
      padding: 0,
    };
    const layers: LayerSpec[] = [
      { kind: "conv2d", name: `conv${i + 1}`, ...shape },
      { kind: "relu", name: `relu${i + 1}` },
    ];
    return i < 2 ? [...layers, pool] : layers;
  });
  const head: LayerSpec[] = [
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc1", outFeatures: 128, bias: true },
    { kind: "relu", name: "relu of fc1" },
    { kind: "linear", name: "fc2", outFeatures: 10, bias: true },
  ];
  return { name: `${depth} convolutions`, input, layers: [...convolutions.flat(), ...head] };
}

/** One figure of a series. `perUnit` divides the time by the work, so that it stays level where growth is linear. */
export interface ScalingRecord extends BenchRecord {
  readonly series: "batch" | "width" | "depth" | "parameters";
  readonly size: number;
  readonly perUnit: number;
  readonly perUnitUnit: string;
  /** `perUnit` over that of the first point of the series; 0 where not measured. */
  readonly toFirst: number;
  /** Why a point was not measured; its value and spread are then 0. */
  readonly note?: string;
}

type Series = ScalingRecord["series"];

/** Measures all points and yields each figure as it is there. */
export async function* runScaling(
  gpu: Gpu,
  { points = defaultPoints, ...options }: MeasureOptions & { readonly points?: ScalingPoints },
): AsyncGenerator<ScalingRecord> {
  const first = new Map<Series, number>();
  const record = (
    series: Series,
    size: number,
    { medianMs, spread, perUnit, perUnitUnit, note }: {
      readonly medianMs: number;
      readonly spread: number;
      readonly perUnit: number;
      readonly perUnitUnit: string;
      readonly note?: string;
    },
  ): ScalingRecord => {
    if (!first.has(series) && !note) first.set(series, perUnit);
    const toFirst = note ? 0 : perUnit / first.get(series)!;
    const keys = {
      name: `scaling_${series}_${size}`,
      value: medianMs,
      unit: "ms",
      adapter: gpu.adapter.name,
      spread,
    };
    return {
      ...keys,
      series,
      size,
      perUnit,
      perUnitUnit,
      toFirst,
      readPath: gpu.path,
      ...(note ? { note } : {}),
    };
  };
  const time = async (graph: Graph, batch: number) => {
    using step = await openStep(gpu, { graph, batch, mode: "train" });
    return { ...await measure(step, { ...options, samples: 3 }), flops: totalCost(step.costs).flops };
  };
  for (const batch of points.batches) {
    const taken = await time(benchGraph, batch);
    yield record("batch", batch, { ...taken, perUnit: taken.medianMs / batch, perUnitUnit: "ms/example" });
  }
  const networks = [
    ...points.widths.map((width): [Series, number, Graph] => ["width", width, wideNetwork(width)]),
    ...points.depths.map((depth): [Series, number, Graph] => ["depth", depth, deepNetwork(depth)]),
  ];
  for (const [series, size, graph] of networks) {
    const taken = await time(graph, points.batch);
    yield record(series, size, {
      ...taken,
      perUnit: 1e9 * taken.medianMs / taken.flops,
      perUnitUnit: "ms/GFLOP",
    });
  }
  for (const parameters of points.parameters) {
    const perUnitUnit = "ns/parameter";
    try {
      using workload = await openConfidence(gpu, parameters);
      const taken = await measure(workload, { ...options, samples: 3 });
      yield record("parameters", parameters, {
        ...taken,
        perUnit: 1e6 * taken.medianMs / parameters,
        perUnitUnit,
      });
    } catch (error) {
      if (!isWinnowError(error)) throw error;
      yield record("parameters", parameters, {
        medianMs: 0,
        spread: 0,
        perUnit: 0,
        perUnitUnit,
        note: error.message,
      });
    }
  }
}

/** The seed network with its channels and features multiplied. */
function wideNetwork(width: number): Graph {
  const widths = { conv1: 32 * width, conv2: 64 * width, fc1: 128 * width };
  return seedNetwork({ channels: 3, height: 32, width: 32, classes: 10 }, widths);
}

/** The figures as a table a series. */
export function formatScaling(records: readonly ScalingRecord[]): string {
  const titles: Readonly<Record<Series, string>> = {
    batch: "training step of the seed network",
    width: "training step, channels and features times",
    depth: "training step, convolutions",
    parameters: "confidence, threshold and mask",
  };
  const tables = Object.entries(titles).map(([series, title]) => {
    const own = records.filter((record) => record.series === series);
    const rows = own.map(({ size, value, spread, perUnit, toFirst, note }) => [
      size.toLocaleString("en-US"),
      ...(note ? ["-", "-", "-", "-"] : [
        formatNumber(value),
        `${(100 * spread).toFixed(1)} %`,
        formatNumber(perUnit),
        `${toFirst.toFixed(2)} x`,
      ]),
    ]);
    const table = formatTable([series, "ms", "spread", own[0]?.perUnitUnit ?? "", "to first"], rows);
    const notes = own.filter(({ note }) => note).map(({ size, note }) =>
      `\n${size.toLocaleString("en-US")}: ${note}`
    );
    return `${title}\n${table}${notes.join("")}\n`;
  });
  return tables.join("\n");
}
