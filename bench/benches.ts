/**
 * The benches by name.
 *
 * @module
 */
import { ConfigError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { describeAlternatives } from "../src/nearest.ts";
import { openConfidence } from "./confidence.ts";
import {
  benchConvolution,
  type ConvolutionPass,
  type ConvolutionSize,
  openConvolution,
} from "./convolution.ts";
import type { Peaks } from "./cost.ts";
import { measure, type MeasureOptions } from "./measure.ts";
import { openPeakCopy, openPeakFma, type PeakWorkload } from "./peaks.ts";
import { type BenchRecord, recordRate } from "./record.ts";
import { benchRefit, openRefitGram, openRefitSolve, type RefitSize, type RefitWorkload } from "./refit.ts";
import { benchGraph, openStep, residualGraph, type StepOptions } from "./steps.ts";

/** How large the benches' work is. The figures of docs/results.md are of the default sizes. */
export interface BenchSizes {
  /** Examples of a training step. */
  readonly trainBatch: number;
  /** Examples of a training step of ResNet-20. */
  readonly residualTrainBatch: number;
  /** Images of an inference step. */
  readonly inferenceBatch: number;
  /** Parameters that are scored and selected, a multiple of 1,000. */
  readonly parameters: number;
  readonly convolution: ConvolutionSize;
  readonly refit: RefitSize;
}

/** The sizes that give the figures their names. */
export const defaultSizes: BenchSizes = {
  trainBatch: 64,
  residualTrainBatch: 128,
  inferenceBatch: 256,
  parameters: 1_000_000,
  convolution: benchConvolution,
  refit: benchRefit,
};

/** What a bench runs with. */
interface BenchContext extends MeasureOptions {
  readonly gpu: Gpu;
  readonly sizes: BenchSizes;
  /** The adapter's limits; absent while they are measured. */
  readonly peaks?: Peaks;
}

type Bench = (name: string, context: BenchContext) => Promise<BenchRecord>;

/** The limits, from which the shares of the other benches follow. */
const limits: ReadonlyMap<string, Bench> = new Map<string, Bench>([
  ["peak_fma", (name, context) => runPeak(name, context, { open: openPeakFma, unit: "GFLOP/s" })],
  ["peak_copy", (name, context) => runPeakCopy(name, context, "kernel")],
  ["peak_copy_buffer", (name, context) => runPeakCopy(name, context, "buffer")],
]);

const benches: ReadonlyMap<string, Bench> = new Map<string, Bench>([
  ...limits,
  ["seed_train_steps", (name, context) => runStep(name, context, { graph: benchGraph, mode: "train" })],
  [
    "seed_inference_images",
    (name, context) => runStep(name, context, { graph: benchGraph, mode: "evaluate" }),
  ],
  [
    "resnet20_train_steps",
    (name, context) => runStep(name, context, { graph: residualGraph, mode: "train" }),
  ],
  [
    "resnet20_inference_images",
    (name, context) => runStep(name, context, { graph: residualGraph, mode: "evaluate" }),
  ],
  ["confidence_parameters", runConfidence],
  ["conv2d_forward", (name, context) => runConvolution(name, context, "forward")],
  ["conv2d_backward_input", (name, context) => runConvolution(name, context, "backward input")],
  ["conv2d_backward_weight", (name, context) => runConvolution(name, context, "backward weight")],
  ["refit_gram", (name, context) => runRefit(name, context, openRefitGram)],
  ["refit_solve", (name, context) => runRefit(name, context, openRefitSolve)],
]);

/** The names of all benches. */
export const benchNames: readonly string[] = [...benches.keys()];

/** Which benches to run, and how. */
export interface BenchOptions extends MeasureOptions {
  /** Names of benches; all where empty. */
  readonly names?: readonly string[];
  readonly sizes?: BenchSizes;
}

/**
 * Checks that names are names of benches.
 *
 * @throws {ConfigError} Where one is not.
 */
export function checkBenchNames(names: readonly string[]): void {
  const stray = names.find((name) => !benches.has(name));
  if (stray === undefined) return;
  const nearest = describeAlternatives(stray, benchNames), all = `one of ${benchNames.join(", ")}`;
  const wanted = nearest === all ? all : `${nearest}, or ${all}`;
  throw new ConfigError({ act: "run bench", thing: stray, current: "no such bench", wanted });
}

/**
 * Runs benches one after the other and yields each figure as it is there. The adapter's limits are measured first,
 * more briefly where they were not asked for, since every share needs them.
 *
 * @throws {ConfigError} Where a name is not a bench's.
 */
export async function* runBenches(
  gpu: Gpu,
  { names = [], sizes = defaultSizes, ...options }: BenchOptions,
): AsyncGenerator<BenchRecord> {
  checkBenchNames(names);
  const asked = names.length === 0 ? benchNames : names;
  const context = { ...options, gpu, sizes };
  const others = asked.filter((name) => !limits.has(name));
  const peaks = new Map<string, number>();
  for (const [name, run] of limits) {
    const isAsked = asked.includes(name), isNeeded = others.length > 0 && name !== "peak_copy_buffer";
    if (!isAsked && !isNeeded) continue;
    const seconds = isAsked ? options.seconds : options.seconds / 4;
    const record = await run(name, { ...context, seconds });
    peaks.set(name, record.value);
    if (isAsked) yield record;
  }
  for (const name of others) {
    const measured = { fma: peaks.get("peak_fma")!, copy: peaks.get("peak_copy")! };
    yield await benches.get(name)!(name, { ...context, peaks: measured });
  }
}

/** Measures the limits that shares refer to. */
export async function measurePeaks(gpu: Gpu, options: MeasureOptions): Promise<Peaks> {
  const values: number[] = [];
  for (const name of ["peak_fma", "peak_copy"]) {
    values.push((await limits.get(name)!(name, { ...options, gpu, sizes: defaultSizes })).value);
  }
  return { fma: values[0]!, copy: values[1]! };
}

async function runPeak(name: string, { gpu, ...options }: BenchContext, { open, unit }: {
  readonly open: (gpu: Gpu) => Promise<PeakWorkload>;
  readonly unit: string;
}): Promise<BenchRecord> {
  using workload = await open(gpu);
  return recordRate(gpu, await measure(workload, options), { name, unit, work: workload.work });
}

function runPeakCopy(name: string, context: BenchContext, by: "kernel" | "buffer"): Promise<BenchRecord> {
  return runPeak(name, context, { open: (gpu) => openPeakCopy(gpu, by), unit: "GB/s" });
}

async function runStep(
  name: string,
  { gpu, sizes, peaks, ...options }: BenchContext,
  { graph, mode }: Pick<StepOptions, "graph" | "mode">,
): Promise<BenchRecord> {
  const isTraining = mode === "train", isResidual = graph === residualGraph;
  const trainBatch = isResidual ? sizes.residualTrainBatch : sizes.trainBatch;
  const batch = isTraining ? trainBatch : sizes.inferenceBatch;
  using step = await openStep(gpu, { graph, batch, mode });
  const measurement = await measure(step, options);
  const unit = isTraining ? "steps/s" : "images/s", work = isTraining ? 1 : batch;
  return recordRate(gpu, measurement, { name, unit, work, costs: step.costs, peaks });
}

async function runConfidence(
  name: string,
  { gpu, sizes, peaks, ...options }: BenchContext,
): Promise<BenchRecord> {
  using workload = await openConfidence(gpu, sizes.parameters);
  const measurement = await measure(workload, options);
  const { parameters: work, costs } = workload;
  return recordRate(gpu, measurement, { name, unit: "parameters/s", work, costs, peaks });
}

async function runConvolution(
  name: string,
  { gpu, sizes, peaks, ...options }: BenchContext,
  pass: ConvolutionPass,
): Promise<BenchRecord> {
  using workload = await openConvolution(gpu, pass, sizes.convolution);
  const { cost } = workload, measurement = await measure(workload, options);
  return recordRate(gpu, measurement, {
    name,
    unit: "GFLOP/s",
    work: cost.flops / 1e9,
    costs: [cost],
    peaks,
  });
}

async function runRefit(
  name: string,
  { gpu, sizes, peaks, ...options }: BenchContext,
  open: (gpu: Gpu, size: RefitSize) => Promise<RefitWorkload>,
): Promise<BenchRecord> {
  using workload = await open(gpu, sizes.refit);
  const { cost } = workload, measurement = await measure(workload, options);
  return recordRate(gpu, measurement, {
    name,
    unit: "GFLOP/s",
    work: cost.flops / 1e9,
    costs: [cost],
    peaks,
  });
}
