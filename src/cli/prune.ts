/**
 * `deno task prune`: trains a network, prunes it by confidence, fine-tunes it and reports.
 *
 * @module
 */
import { describeConfig, type PruneConfig } from "../config.ts";
import type { Dataset, Split } from "../data/dataset.ts";
import { mnistPackageFolder } from "../data/mnist_package.ts";
import { openDenoBlockReader } from "../data/shards_deno.ts";
import { FileError } from "../errors.ts";
import { denoFiles } from "../files_deno.ts";
import {
  checkGraphFits,
  type Gpu,
  type Graph,
  loadDataset,
  loadModel,
  lowerRunPlans,
  type ModelState,
  type ProductChooser,
  readResumedConfig,
  removeCheckpoints,
  type RunCheckpoints,
  runPrune,
} from "../../mod.ts";
import { cacheFolder } from "./cache_folder.ts";
import { runCommand } from "./command.ts";
import { formatHelp, parseFlags, resolvePruneConfig, runFields } from "./flags.ts";
import { describeLoadedModel, modelSourceOf } from "./model_flags.ts";
import { describePath, openDevice, tuneDevice } from "./open_device.ts";
import { openProgress } from "./progress.ts";
import { formatReport } from "./prune_text.ts";

const usage = "./winnow prune [FLAGS]   (or: deno task prune [FLAGS])";
const summary =
  "Trains a network on the GPU, measures how confident one can be in every weight on data that training " +
  "has not seen, removes the weights below the threshold in place, fine-tunes, repeats, and reports.";

const note = (line: string) => console.error(line);

async function main(): Promise<number> {
  const fields = [...describeConfig(), ...runFields];
  const flags = parseFlags(Deno.args, fields);
  if (flags.help) {
    console.log(formatHelp(usage, summary, fields));
    return 0;
  }
  const { resume } = flags.values, resumes = resume !== undefined;
  const resumed = resumes ? await readResumedConfig(checkpointsIn(String(resume), true)) : undefined;
  const told = await resolvePruneConfig(flags, denoFiles, resumed);
  const config = resumes ? { ...told, out: String(resume) } : told;
  if (flags.values["print-config"] ?? flags.values.printConfig) {
    console.log(JSON.stringify(config, null, 2));
    return 0;
  }
  if (!resumes) await checkOutput(config);
  using gpu = await openDevice(config);
  note(`adapter: ${gpu.adapter.name}, reading through ${describePath(gpu)}`);
  const whole = await openDataset(config);
  const loaded = await loadModel(modelSourceOf(config), { files: denoFiles, task: whole });
  const { graph, weights, normalization } = loaded;
  checkGraphFits(graph, whole);
  for (const line of describeLoadedModel(loaded, whole)) note(line);
  const input = { gpu, dataset: { ...whole, ...normalization }, graph, ...(weights ? { weights } : {}) };
  await tune(config, input);
  const checkpoints = checkpointsIn(config.out, resumes);
  if (!resumes) await removeCheckpoints(checkpoints);
  const writes = resumes || config.checkpointEvery > 0;
  const { report, model } = await runWithProgress(config, { ...input, ...(writes ? { checkpoints } : {}) });
  await denoFiles.makeFolder(config.out);
  await denoFiles.write(`${config.out}/model.safetensors`, model);
  const text = new TextEncoder().encode(`${JSON.stringify(report, null, 2)}\n`);
  await denoFiles.write(`${config.out}/report.json`, text);
  await removeCheckpoints(checkpoints);
  console.log(formatReport(report));
  console.log(`\nWritten: ${config.out}/report.json and ${config.out}/model.safetensors`);
  return 0;
}

/** What a run works with. */
interface RunInput {
  readonly gpu: Gpu;
  readonly dataset: Dataset<Split>;
  readonly graph: Graph;
  readonly weights?: ModelState;
  readonly checkpoints?: RunCheckpoints;
}

/** Where the checkpoints of a run are that writes to a folder. */
function checkpointsIn(out: string, resumes: boolean): RunCheckpoints {
  return { files: denoFiles, folder: `${out.replace(/(?<=.)\/+$/, "")}/checkpoint`, resumes };
}

/** Has the device take the fastest cores for the products of this run; a read path that is forced stays. */
async function tune(config: PruneConfig, { gpu, dataset, graph }: RunInput): Promise<void> {
  if (config.readPath !== "auto") return;
  const sizes = { batch: config.batch, train: dataset.train.count, test: dataset.test.count };
  const lower = (choose: ProductChooser) => lowerRunPlans(graph, sizes, choose);
  await tuneDevice(gpu, lower, { mode: config.tune, note });
}

/** Refuses an output folder with something in it before any work is done. */
async function checkOutput({ out, force }: PruneConfig): Promise<void> {
  const names = await denoFiles.list(out);
  if (names === undefined || names.length === 0 || force) return;
  const current = `it holds ${names.length} entries (${names.slice(0, 3).join(", ")})`;
  throw new FileError({ act: "write to folder", thing: out, current, wanted: "an empty folder, or --force" });
}

async function openDataset({ data, limit, testLimit, stream }: PruneConfig): Promise<Dataset<Split>> {
  const cache = cacheFolder();
  const dataset = await loadDataset({
    ...(data === undefined ? {} : { folder: data }),
    ...(cache === undefined ? {} : { cacheFolder: cache }),
    files: denoFiles,
    allowDownload: true,
    mnistFolder: mnistPackageFolder,
    openReader: openDenoBlockReader,
    streams: stream === "on",
    note,
  });
  const { name, source, train, test } = dataset;
  note(`data set: ${name}, ${train.count} training and ${test.count} test examples, from ${source}`);
  const takes = (what: string, most: number, count: number, flag: string) => {
    if (most > 0 && most < count) note(`using ${most} of ${count} ${what} examples (${flag} 0 for all)`);
  };
  takes("training", limit, train.count, "--limit");
  takes("test", testLimit, test.count, "--test-limit");
  return dataset;
}

/** Runs with a progress line; where a loss is not finite, the last good state is kept in the output folder. */
async function runWithProgress(
  config: PruneConfig,
  { gpu, ...input }: RunInput,
) {
  const progress = openProgress({
    write: (text) => void Deno.stderr.writeSync(new TextEncoder().encode(text)),
    isTerminal: Deno.stderr.isTerminal(),
    columns: Deno.stderr.isTerminal() ? Deno.consoleSize().columns : 80,
  });
  try {
    return await runPrune(gpu, {
      config,
      ...input,
      onLastGood: (model) => keepLastGood(config, model),
      onFootprint: ({ totalBytes, slotsBytes, mirrorsBytes }) => {
        const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
        const parts = `tensors ${mebibytes(slotsBytes)}, texture mirrors ${mebibytes(mirrorsBytes)}`;
        note(`device memory for training: ${mebibytes(totalBytes)} (${parts})`);
      },
      onProgress: (label, { step, steps, loss, accuracy, examplesPerSecond }) =>
        progress.update({ label, done: step, total: steps, loss, accuracy, examplesPerSecond }),
    });
  } finally {
    progress.finish();
  }
}

/** Saves the model as it was when all was finite. */
async function keepLastGood({ out }: PruneConfig, model: Uint8Array): Promise<void> {
  await denoFiles.makeFolder(out);
  const path = `${out}/last-good.safetensors`;
  await denoFiles.write(path, model);
  note(`the last good state is kept in ${path}`);
}

if (import.meta.main) await runCommand(main);
