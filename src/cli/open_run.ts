/**
 * Opens what a command that trains or prunes works with: the device, the data set and the model that its flags name.
 *
 * @module
 */
import deno from "../../deno.json" with { type: "json" };
import type { RunConfig } from "../config/config.ts";
import type { Dataset, Split } from "../data/dataset.ts";
import { openDenoBlockReader } from "../deno/block_reader.ts";
import { ConfigError } from "../errors.ts";
import { denoFiles } from "../deno/files.ts";
import {
  checkGraphFits,
  type Gpu,
  type Graph,
  loadDataset,
  type LoadedModel,
  loadModel,
  type ModelState,
} from "../../mod.ts";
import { readModelSource } from "../runs/model_source.ts";
import { describeLoadedModel } from "./describe_model.ts";
import { describeDevice, deviceChanges } from "./describe_device.ts";
import { openDevice } from "./open_device.ts";
import { OutputFolder, runName } from "./output_folder.ts";
import { note } from "./print.ts";
import type { EarlierRun } from "./run_config.ts";

/** What a run works with. */
export interface RunInput {
  readonly dataset: Dataset<Split>;
  readonly graph: Graph;
  readonly weights?: ModelState;
  readonly teacher?: LoadedModel;
  /** Versions of what computes, by name, for the report. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Opens the data set and the model of a run, and says which they are. */
export async function openRun(config: RunConfig): Promise<RunInput> {
  const whole = await openDataset(config);
  const loaded = await loadModel(readModelSource(config.model), { files: denoFiles, task: whole });
  const { graph, weights } = loaded;
  checkGraphFits(graph, whole);
  const teacher = await openTeacher(config, whole);
  // A network that knows no images yet learns to see them as its teacher does.
  const isFree = loaded.normalization === undefined && !weights;
  const { normalization = isFree ? teacher?.normalization : undefined } = loaded;
  for (const line of describeLoadedModel(loaded, whole)) note(line);
  const dataset = { ...whole, ...normalization };
  if (teacher) checkNormalization(teacher, { dataset, path: config.train.distillation!.teacher! });
  const versions = { winnow: deno.version, deno: Deno.version.deno };
  return { dataset, graph, versions, ...(weights ? { weights } : {}), ...(teacher ? { teacher } : {}) };
}

/** Opens the teacher of a run, where it has one. */
async function openTeacher(
  { train }: RunConfig,
  dataset: Dataset<Split>,
): Promise<LoadedModel | undefined> {
  const path = train.distillation?.teacher;
  if (path === undefined) return undefined;
  const teacher = await loadModel({ model: path }, { files: denoFiles, task: dataset });
  checkGraphFits(teacher.graph, dataset);
  note(`teacher: ${teacher.graph.name}, ${path}`);
  return teacher;
}

/** Refuses a teacher that knows images normalised in another way than its student gets them. */
function checkNormalization(
  { normalization }: LoadedModel,
  { dataset: { mean, std }, path }: { readonly dataset: Dataset<Split>; readonly path: string },
): void {
  const text = (of: { readonly mean: readonly number[]; readonly std: readonly number[] }) =>
    `mean ${of.mean.join(", ")} and deviation ${of.std.join(", ")}`;
  if (!normalization || text(normalization) === text({ mean, std })) return;
  const current = `it takes images normalised by ${text(normalization)}`, wanted = text({ mean, std });
  throw new ConfigError({ act: "use teacher", thing: path, current, wanted: `${wanted}, as the student` });
}

/** Opens the device of a run, and says which it is, and in what an earlier run that is run again had another. */
export async function openRunDevice(config: RunConfig, earlier?: EarlierRun): Promise<Gpu> {
  const gpu = await openDevice(config.device, config.device.tune);
  note(`adapter: ${describeDevice(gpu)}`);
  const changes = earlier ? deviceChanges(earlier, { adapter: gpu.adapter.name, gpu: gpu.identity }) : [];
  if (changes.length > 0) {
    note(`on another device than the report's results may differ: ${changes.join(", ")}`);
  }
  return gpu;
}

/**
 * Makes a new folder for a run, whose name says when and what it is.
 *
 * @param command Stands in the name; nothing for a prune run.
 * @throws {FileError} Where it cannot be made or written to.
 */
export async function makeRunFolder({ graph, dataset }: RunInput, command = ""): Promise<OutputFolder> {
  return await OutputFolder.make("out", runName(command, graph.name, dataset.name));
}

async function openDataset(
  { data: { folder, limit, testLimit, stream } }: RunConfig,
): Promise<Dataset<Split>> {
  const openReader = openDenoBlockReader, streams = stream === "on";
  const dataset = await loadDataset({ folder, allowDownload: true, openReader, streams });
  const { name, source, train, test } = dataset;
  note(`data set: ${name}, ${train.count} training and ${test.count} test examples, from ${source}`);
  const takes = (what: string, limit: number, count: number, flag: string) => {
    if (limit > 0 && limit < count) note(`using ${limit} of ${count} ${what} examples (${flag} 0 for all)`);
  };
  takes("training", limit, train.count, "--limit");
  takes("test", testLimit, test.count, "--test-limit");
  return dataset;
}
