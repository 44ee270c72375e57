/**
 * Opens what a run works with: the device, the data set, the model and the teacher that its configuration names.
 *
 * @module
 */
import deno from "../../deno.json" with { type: "json" };
import type { RunConfig } from "../config/config.ts";
import type { Dataset, Split } from "../data/dataset.ts";
import { type ImageOptions, parseImageSize } from "../data/image_options.ts";
import { currentHost } from "../api/host.ts";
import { loadDataset } from "../api/load_data.ts";
import { type LoadedModel, loadModel } from "../api/load_model.ts";
import type { ModelState } from "../api/model_options.ts";
import { readModelInput } from "../api/model_input.ts";
import { openGpu } from "../api/open_gpu.ts";
import { ConfigError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { checkGraphFits, type Graph } from "../model/graph.ts";
import { describeDevice, deviceChanges, type NamedDevice } from "../text/device.ts";
import { describeLoadedModel } from "../text/model.ts";
import type { ValueNames } from "../io/pretrained.ts";
import { readModelSource } from "./model_source.ts";

/** Hears a line on what was opened. */
type Note = (line: string) => void;

/** What opening a run hears of, and what ends it. */
export interface OpenTools {
  /** Hears how many images of how many were decoded. */
  readonly onDecoded?: ((done: number, total: number) => void) | undefined;
  /** Ends the call, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a run works with. */
export interface RunInput {
  readonly dataset: Dataset<Split>;
  readonly graph: Graph;
  readonly weights?: ModelState;
  readonly teacher?: LoadedModel;
  /** What an ONNX file that the network was read from calls its images and its output. */
  readonly valueNames?: ValueNames;
  /** Versions of what computes, by name, for the report. */
  readonly versions: Readonly<Record<string, string>>;
}

/**
 * Opens the data set and the model of a run by what the runtime offers, and says which they are.
 *
 * @throws {ConfigError | FileError | FormatError | ShapeError} If one of them is not there, is damaged, or does not fit
 *   the others.
 */
export async function openRun(config: RunConfig, note: Note, tools: OpenTools = {}): Promise<RunInput> {
  const whole = await openDataset(config, note, tools);
  const source = { ...readModelSource(config.model), seed: config.seed };
  const loaded = await loadModel(source, { task: whole });
  const { graph, weights } = loaded;
  checkGraphFits(graph, whole);
  const teacher = await openTeacher(config, { dataset: whole, note });
  // A network that knows no images yet learns to see them as its teacher does.
  const isFree = loaded.normalization === undefined && !weights;
  const { normalization = isFree ? teacher?.normalization : undefined } = loaded;
  for (const line of describeLoadedModel(loaded, whole)) note(line);
  const dataset = { ...whole, ...normalization };
  if (teacher) checkNormalization(teacher, { dataset, path: config.train.distillation!.teacher! });
  const versions = { winnow: deno.version, ...currentHost()?.versions };
  return {
    ...{ dataset, graph, versions },
    ...(weights ? { weights } : {}),
    ...(teacher ? { teacher } : {}),
    ...(loaded.valueNames ? { valueNames: loaded.valueNames } : {}),
  };
}

/** Opens the teacher of a run, where it has one. */
async function openTeacher(
  { train }: RunConfig,
  { dataset, note }: { readonly dataset: Dataset<Split>; readonly note: Note },
): Promise<LoadedModel | undefined> {
  const path = train.distillation?.teacher;
  if (path === undefined) return undefined;
  const teacher = await loadModel({ model: path }, { task: dataset });
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

/**
 * Opens the device of a run, and says which it is.
 *
 * @param options.earlier The device of an earlier run that is run again; what differs is said too.
 * @param options.signal Ends the call, with its reason.
 * @throws {AdapterError} As `openGpu` does.
 */
export async function openRunDevice(
  { device: { adapter, readPath, tune } }: RunConfig,
  { earlier, note, signal }: {
    readonly earlier?: NamedDevice | undefined;
    readonly note: Note;
    readonly signal?: AbortSignal;
  },
): Promise<Gpu> {
  const gpu = await openGpu({ adapter, path: readPath, tune, note, signal });
  note(`adapter: ${describeDevice(gpu)}`);
  const changes = earlier ? deviceChanges(earlier, { adapter: gpu.adapter.name, gpu: gpu.identity }) : [];
  if (changes.length > 0) {
    note(`on another device than the report's results may differ: ${changes.join(", ")}`);
  }
  return gpu;
}

/** How a run's images of folders become examples. */
export function readImageOptions(
  { data, model }: Pick<RunConfig, "data" | "model">,
  tools: OpenTools = {},
): ImageOptions {
  const { size, resize, testShare, splitSeed, damaged, limit, testLimit } = data, host = currentHost();
  return {
    ...{ resize, testShare, splitSeed, damaged, ...tools },
    size: size === undefined ? undefined : parseImageSize(size),
    limits: { train: limit, test: testLimit },
    modelInput: async () => host && await readModelInput(readModelSource(model), host.files),
  };
}

async function openDataset(config: RunConfig, note: Note, tools: OpenTools): Promise<Dataset<Split>> {
  const { folder, limit, testLimit, stream } = config.data;
  const openReader = currentHost()?.openReader, streams = stream === "on";
  const images = readImageOptions(config, tools);
  const dataset = await loadDataset({ folder, allowDownload: true, openReader, streams, note, images });
  const { name, source, train, test } = dataset;
  note(`data set: ${name}, ${train.count} training and ${test.count} test examples, from ${source}`);
  const takes = (what: string, limit: number, count: number, flag: string) => {
    if (limit > 0 && limit < count) note(`using ${limit} of ${count} ${what} examples (${flag} 0 for all)`);
  };
  takes("training", limit, dataset.images?.found.train ?? train.count, "--limit");
  takes("test", testLimit, dataset.images?.found.test ?? test.count, "--test-limit");
  return dataset;
}
