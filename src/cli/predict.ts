/**
 * `deno task predict --model FILE --images FOLDER`: says which classes a model sees in images.
 *
 * @module
 */
import { taskToPredict } from "../api/task_to_predict.ts";
import { type ConfigField, describeConfig, parsePruneConfig } from "../config.ts";
import { loadImages } from "../data/load_images.ts";
import { openDenoBlockReader } from "../deno/block_reader.ts";
import { ConfigError } from "../errors.ts";
import { denoFiles, loadModel, openModel, type Predictions, presetNames } from "../../mod.ts";
import { runStoppable } from "./command.ts";
import { type FlagField, formatHelp, parseFlags } from "./flags.ts";
import { describeDevice } from "./describe_device.ts";
import { modelSourceOf } from "../runs/model_source.ts";
import { describeLoadedModel, modelFields } from "./model_flags.ts";
import { deviceFields, openDevice } from "./open_device.ts";
import { note, print, printJson } from "./print.ts";
import { formatTable } from "../text/table.ts";

const usage = "./winnow predict --model FILE --images FOLDER [FLAGS]   (or: deno task predict ...)";
const summary =
  "Says which class a model sees in each image, and how probable that is by the model. The model is a file that winnow " +
  "wrote, or a safetensors file with PyTorch's names. Images are those of a data set, whose labels are not looked at, " +
  "or an IDX file of images alone.";

const ownFields: readonly FlagField[] = [
  {
    key: "images",
    flag: "images",
    group: "Data and model",
    kind: "text",
    default: undefined,
    description: "Folder of a data set (CIFAR-10, IDX or shards), or an IDX file of images without labels.",
    wanted: "the path of a folder, or of an IDX file of images",
  },
  {
    key: "split",
    flag: "split",
    group: "Data and model",
    kind: "choice",
    choices: ["test", "train"],
    default: "test",
    description: "Which images of a data set.",
    wanted: "test or train",
  },
  {
    key: "limit",
    flag: "limit",
    group: "Data and model",
    kind: "integer",
    default: 0,
    description: "Images to predict, the first ones; 0 for all.",
    wanted: "a whole number, at least 0",
  },
  {
    key: "top",
    flag: "top",
    group: "Output and device",
    kind: "integer",
    default: 1,
    description: "Classes to name for each image, the most probable first.",
    wanted: "a whole number, at least 1",
  },
  {
    key: "json",
    flag: "json",
    group: "Output and device",
    kind: "boolean",
    default: false,
    description: "Print one JSON object instead of text.",
    wanted: "no value",
  },
];

const device = deviceFields("adapter", "readPath");

/** The flags that a prune run has too; here no model is taken without being named. */
const shared: readonly ConfigField[] = [
  ...modelFields("model", "weights", "preset", "mean", "std").map((field) =>
    field.key === "model" ? { ...field, default: undefined } : field
  ),
  ...describeConfig().filter(({ key }) => key === "evaluationBatch"),
];

/** Its flags. */
export const fields: readonly FlagField[] = [
  ...shared.slice(0, 1),
  ...ownFields,
  ...shared.slice(1),
  ...device,
];

/** What is printed of a class of an image. */
interface NamedClass {
  readonly class: number;
  readonly name: string;
  readonly probability: number;
}

/** The most probable classes of each image, the first of equal ones first. */
function topClasses(
  { probabilities, labels, logits }: Predictions,
  { classes, top }: { readonly classes: readonly string[]; readonly top: number },
): readonly (readonly NamedClass[])[] {
  const all = classes.map((_, index) => index);
  return Array.from(labels, (_, row) => {
    const first = row * classes.length;
    // By logits: probabilities that are rounded to 0 are equal.
    return all.toSorted((a, b) => logits[first + b] - logits[first + a] || a - b).slice(0, top)
      .map((index) => ({ class: index, name: classes[index], probability: probabilities[first + index] }));
  });
}

async function main(signal: AbortSignal): Promise<number> {
  const { help, values } = parseFlags(Deno.args, fields);
  if (help) {
    print(formatHelp(usage, summary, fields));
    return 0;
  }
  for (const [flag, wanted] of [["model", "a model"], ["images", "a folder or a file of images"]] as const) {
    if (values[flag] !== undefined) continue;
    throw new ConfigError({ act: "predict", thing: `--${flag}`, current: "it is missing", wanted });
  }
  const limit = wholeNumber("limit", values.limit ?? 0, 0), top = wholeNumber("top", values.top ?? 1, 1);
  const keys = new Set([...shared, ...device].map(({ key }) => key));
  const given = Object.fromEntries(Object.entries(values).filter(([key]) => keys.has(key)));
  const config = parsePruneConfig(given, "the command line"), path = String(values.images);
  const split = values.split === "train" ? "train" : "test";
  const found = await loadImages(path, { split, files: denoFiles, openReader: openDenoBlockReader, note });
  const { classes = [], images, count } = found;
  if (!found.statistics && values.split !== undefined) {
    const current = `${path} is a file of images, which has no splits`;
    throw new ConfigError({ act: "use", thing: "--split", current, wanted: "it beside a data set's folder" });
  }
  const preset = config.preset ?? (presetNames.includes(config.model) ? config.model : undefined);
  if (!found.classes && preset !== undefined) {
    const current = `without labels it does not say how many classes ${preset} tells apart`;
    throw new ConfigError({
      act: "predict",
      thing: path,
      current,
      wanted: "a data set's folder, or another model",
    });
  }
  const loaded = await loadModel(modelSourceOf(config), { files: denoFiles, task: { ...found, classes } });
  const task = taskToPredict(loaded, found);
  for (const line of describeLoadedModel(loaded, { ...task, classes: found.classes ?? task.classes })) {
    note(line);
  }
  using gpu = await openDevice(config);
  note(`adapter: ${describeDevice(gpu)}`);
  using model = openModel(gpu, loaded, { task, evaluationBatch: config.evaluationBatch });
  const taken = limit === 0 ? count : Math.min(limit, count);
  const predictions = topClasses(await model.predict(images, { count: taken, signal }), { ...task, top });
  if (values.json === true) {
    printJson({
      model: loaded.graph.name,
      images: path,
      ...(found.classes ? { split } : {}),
      adapter: gpu.adapter.name,
      gpu: gpu.identity,
      classes: task.classes,
      predictions: predictions.map((top, index) => ({ index, top })),
    });
  } else print(formatPredictions(predictions));
  return 0;
}

function wholeNumber(flag: string, value: unknown, least: number): number {
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= least) return number;
  const wanted = `a whole number, at least ${least}`;
  throw new ConfigError({ act: "use", thing: `--${flag}`, current: `${value}`, wanted });
}

/** A line per image: its index, then the name and the probability of each class. */
function formatPredictions(predictions: readonly (readonly NamedClass[])[]): string {
  const columns = Array.from(predictions[0] ?? [], (_, i) => i === 0 ? "" : ` ${i + 1}`);
  const head = ["image", ...columns.flatMap((place) => [`class${place}`, `probability${place}`])];
  const rows = predictions.map((top, index) => [
    `${index}`,
    ...top.flatMap(({ name, probability }) => [name, probability.toFixed(4)]),
  ]);
  const align = head.map((_, i) => i % 2 === 1 ? "left" as const : "right" as const);
  return formatTable(head, rows, { align });
}

if (import.meta.main) await runStoppable(main);
