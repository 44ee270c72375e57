/**
 * Opens what a command that trains or prunes works with: the device, the data set and the model that its flags name.
 *
 * @module
 */
import type { PruneConfig } from "../config.ts";
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
} from "../../mod.ts";
import { cacheFolder } from "./cache_folder.ts";
import { describeLoadedModel, modelSourceOf } from "./model_flags.ts";
import { describePath, openDevice, tuneDevice } from "./open_device.ts";
import { openProgress, type Progress } from "./progress.ts";

/** Prints a line on standard error. */
export const note = (line: string): void => console.error(line);

/** What a run works with. */
export interface RunInput {
  readonly dataset: Dataset<Split>;
  readonly graph: Graph;
  readonly weights?: ModelState;
}

/** Opens the data set and the model of a run, says which they are, and tunes the device for it. */
export async function openRun(gpu: Gpu, config: PruneConfig): Promise<RunInput> {
  const whole = await openDataset(config);
  const loaded = await loadModel(modelSourceOf(config), { files: denoFiles, task: whole });
  const { graph, weights, normalization } = loaded;
  checkGraphFits(graph, whole);
  for (const line of describeLoadedModel(loaded, whole)) note(line);
  const input = { dataset: { ...whole, ...normalization }, graph, ...(weights ? { weights } : {}) };
  await tune(gpu, config, input);
  return input;
}

/** Opens the device of a run, and says which it is. */
export async function openRunDevice(config: PruneConfig): Promise<Gpu> {
  const gpu = await openDevice(config);
  note(`adapter: ${gpu.adapter.name}, reading through ${describePath(gpu)}`);
  return gpu;
}

/** Has the device take the fastest cores for the products of this run; a read path that is forced stays. */
async function tune(gpu: Gpu, config: PruneConfig, { dataset, graph }: RunInput): Promise<void> {
  if (config.readPath !== "auto") return;
  const sizes = { batch: config.batch, train: dataset.train.count, test: dataset.test.count };
  const lower = (choose: ProductChooser) => lowerRunPlans(graph, sizes, choose);
  await tuneDevice(gpu, lower, { mode: config.tune, note });
}

/** Refuses an output folder with something in it before any work is done. */
export async function checkOutput({ out, force }: PruneConfig): Promise<void> {
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

/** A progress line on standard error. */
export function openRunProgress(): Progress {
  return openProgress({
    write: (text) => void Deno.stderr.writeSync(new TextEncoder().encode(text)),
    isTerminal: Deno.stderr.isTerminal(),
    columns: Deno.stderr.isTerminal() ? Deno.consoleSize().columns : 80,
  });
}
