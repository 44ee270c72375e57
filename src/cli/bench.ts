/**
 * Measures training, inference, confidence and convolution on this machine's adapter.
 *
 * @module
 */

import { z } from "zod";
import { benchNames, checkBenchNames, runBenches } from "../../bench/benches.ts";
import { formatExplanation } from "../../bench/explain.ts";
import { gpuNames } from "../../bench/gpu_devices.ts";
import { runLibrary, usualLibraryOptions } from "../../bench/library.ts";
import { formatModelledStep, modelStep } from "../../bench/model_gpu.ts";
import { measurePeers } from "../../bench/peers.ts";
import { formatProfile, profileStep } from "../../bench/profile_step.ts";
import { type BenchRecord, formatRecords } from "../../bench/record.ts";
import { formatScaling, runScaling } from "../../bench/scaling.ts";
import { formatStreaming, runStreaming } from "../../bench/streaming.ts";
import { lowerBenchPlans } from "../../bench/tuning.ts";
import { runStoppable } from "./command.ts";
import { type FlagField, formatHelp, ownFlags, parseFlags, selectFlags } from "./flags.ts";
import { parseConfigFlags } from "./run_config.ts";
import { openGpu } from "../api/open_gpu.ts";
import { startTuning } from "../api/tune.ts";
import type { TunedProduct, Tuner, TunerMode } from "../gpu/tuner.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { describeDevice } from "../text/device.ts";
import { openErrorProgress } from "./progress.ts";
import type { Gpu } from "../gpu/device.ts";
import { ConfigError } from "../errors.ts";
import { presetNames } from "../model/presets.ts";
import { note, print, printJson } from "./print.ts";

const onOff = (description: string) => z.boolean().default(false).describe(description);

const own = ownFlags({
  json: onOff("Print one JSON object per line instead of tables."),
  profile: onOff("Print where the time of one training step goes, by kernel."),
  scaling: onOff("Print how time grows with batch, width, depth and parameters."),
  peers: onOff("Train and infer beside tfjs and jax-js, downloaded for it, and print the ratios."),
  library: onOff("Train by the library and by deno task prune in turn, and print the steps/s of both."),
  streaming: z.number().gt(0).optional().describe(
    "Write so many GiB of examples to a temporary folder and train from there beside a resident part.",
  ),
  seconds: z.number().gt(0).default(2).describe("Seconds to measure each figure for, after warming up."),
  explain: onOff("Print which core each matrix product takes, and what the others took."),
  modelGpu: z.enum(gpuNames).optional().describe(
    "--model-gpu: Print what a training step would take on this GPU by a model of its dispatches, by kernel; no GPU is opened.",
  ),
  model: z.enum(presetNames as [string, ...string[]]).optional().describe(
    "The preset of --model-gpu. Default: resnet20.",
  ),
  batch: z.int().min(2).optional().describe("Examples of the step of --model-gpu. Default: 128."),
});

/** Its flags. */
export const fields: readonly FlagField[] = [
  ...own.fields,
  ...selectFlags("device.adapter", "device.readPath", "device.tune"),
];

const summary = [
  "Measures the named benches, or all of them, and the adapter's own limits in the same run; share is the least",
  "time by those limits divided by the time taken. With --explain, --profile, --scaling, --peers, --library or --streaming only what they",
  `ask for is measured, and the benches that are named. Benches: ${benchNames.join(", ")}.`,
].join(" ");

/** Prints a record as a line of JSON, with what identifies the device. */
function printRecord(gpu: Gpu, record: BenchRecord): void {
  printJson({ ...record, gpu: gpu.identity });
}

/** Waits for records, printing each as a line of JSON at once where that is asked for; those so far where it is to stop. */
async function gather<R extends BenchRecord>(
  gpu: Gpu,
  source: AsyncIterable<R>,
  { json, signal }: { readonly json: boolean; readonly signal: AbortSignal },
): Promise<R[]> {
  const records: R[] = [];
  for await (const record of source) {
    if (json) printRecord(gpu, record);
    records.push(record);
    if (signal.aborted) break;
  }
  return records;
}

/** Prints what the tuner measured, a product after the other. */
function printExplanation(products: readonly TunedProduct[], json: boolean): void {
  if (json) { for (const product of products) printJson({ name: "explain", ...product }); }
  else print(`${formatExplanation(products)}\n`);
}

/**
 * Times how the products of some plans run fastest, unless the cache knows, and has the device take that.
 *
 * @param lower Lowers the plans with a chooser.
 */
async function tuneDevice(
  gpu: Gpu,
  lower: (choose: ProductChooser) => void,
  { mode, note, signal }: {
    readonly mode: TunerMode;
    readonly note: (line: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<Tuner> {
  const progress = openErrorProgress();
  const noteBelow = (line: string) => {
    progress.finish();
    note(line);
  };
  const start = performance.now();
  let tuner: Tuner, measured: number;
  try {
    tuner = await startTuning(gpu, { mode, note: noteBelow });
    const onProduct = (done: number, total: number) => progress.update({ label: "tune", done, total });
    measured = await tuner.tunePlans(lower, { onProduct, signal });
  } finally {
    progress.finish();
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (measured > 0) note(`tuned ${measured} matrix products in ${seconds} s`);
  return tuner;
}

/**
 * Prints a training step by the model of a GPU, and says whether that was asked for.
 *
 * @throws {ConfigError} Where flags of the model and of measurements meet.
 */
function printModelledStep(flags: ReturnType<typeof own.read>, names: readonly string[]): boolean {
  const { modelGpu, model, batch, json, seconds: _, ...measurements } = flags;
  const isModelled = modelGpu !== undefined;
  const others = isModelled
    ? Object.keys(measurements).filter((key) => measurements[key as keyof typeof measurements])
    : ["model", "batch"].filter((key) => flags[key as "model" | "batch"] !== undefined);
  const stray = others[0] === undefined ? (isModelled ? names[0] : undefined) : `--${others[0]}`;
  if (stray !== undefined) {
    const current = isModelled ? "--model-gpu is given, which measures nothing" : "--model-gpu is not given";
    const wanted = isModelled ? "one of both" : "--model-gpu and the name of a GPU";
    throw new ConfigError({ act: "use", thing: stray, current, wanted });
  }
  if (!isModelled) return false;
  const step = modelStep(modelGpu, { network: model ?? "resnet20", batch: batch ?? 128 });
  if (json) printJson({ name: "model_gpu", ...step });
  else print(formatModelledStep(step));
  return true;
}

/** Reads the flags, runs what they ask for and prints it. */
async function main(signal: AbortSignal): Promise<number> {
  const { values, positionals: names, help } = parseFlags(Deno.args, fields, { positionals: true });
  if (help) {
    print(formatHelp({ usage: "./winnow bench [FLAGS] [BENCH...]", summary, fields }));
    return 0;
  }
  checkBenchNames(names);
  const flags = own.read(values);
  if (printModelledStep(flags, names)) return 0;
  const { json, seconds, explain, profile: profiles, scaling, peers, library, streaming } = flags;
  const { adapter, readPath, tune } = parseConfigFlags(values).device;
  using gpu = await openGpu({ adapter, path: readPath, tune: "off", note, signal });
  // A read path that is forced stays as it is.
  const mode = readPath === "auto" ? tune : "off";
  const isOther = explain || profiles || scaling || peers || library || streaming !== undefined;
  // The other questions are about the seed network.
  const tuned = isOther && names.length === 0 ? ["seed_train_steps"] : names;
  const tuner = readPath === "auto"
    ? await tuneDevice(gpu, (choose) => lowerBenchPlans(choose, tuned), { mode, note, signal })
    : undefined;
  signal.throwIfAborted();
  if (!json) print(`${describeDevice(gpu)}, Deno ${Deno.version.deno}\n`);
  if (explain) printExplanation(tuner?.explain() ?? [], json);
  if (profiles) {
    const profile = await profileStep(gpu, { seconds });
    if (json) { for (const record of profile.records) printRecord(gpu, record); }
    else print(formatProfile(profile));
    signal.throwIfAborted();
  }
  if (scaling) {
    const records = await gather(gpu, runScaling(gpu, { seconds }), { json, signal });
    if (!json) print(formatScaling(records));
    signal.throwIfAborted();
  }
  if (peers) {
    const records = await gather(gpu, measurePeers(gpu, { seconds }), { json, signal });
    if (!json) print(formatRecords(records));
    signal.throwIfAborted();
  }
  if (library) {
    const records = await gather(gpu, runLibrary({ ...usualLibraryOptions, signal }), { json, signal });
    if (!json) print(formatRecords(records));
    signal.throwIfAborted();
  }
  if (streaming !== undefined) {
    const records = await gather(
      gpu,
      runStreaming(gpu, { sizeBytes: streaming * 2 ** 30, seconds, note, signal }),
      { json, signal },
    );
    if (!json) print(formatStreaming(records));
    signal.throwIfAborted();
  }
  // The other questions replace the benches, unless some are named.
  if (isOther && names.length === 0) return 0;
  const records = await gather(gpu, runBenches(gpu, { names, seconds }), { json, signal });
  if (!json) print(formatRecords(records));
  signal.throwIfAborted();
  return 0;
}

if (import.meta.main) await runStoppable(main);
