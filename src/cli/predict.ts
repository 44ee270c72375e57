/**
 * `deno task predict --model FILE --images FOLDER`: says which classes a model sees in images.
 *
 * @module
 */
import { z } from "zod";
import { taskToPredict } from "../api/task_to_predict.ts";
import { describeSkipped } from "../data/image_options.ts";
import { type LoadedImages, loadImages } from "../data/load_images.ts";
import { openDenoBlockReader } from "../deno/block_reader.ts";
import { openDenoImageDecoder } from "../deno/image_decoder.ts";
import { ConfigError } from "../errors.ts";
import { denoFiles, loadModel, openModel, type Predictions, presetNames } from "../../mod.ts";
import { runStoppable } from "./command.ts";
import { type FlagField, formatHelp, jsonFlag, ownFlags, parseFlags, selectFlags } from "./flags.ts";
import { parseConfigFlags } from "./run_config.ts";
import { describeDevice } from "../text/device.ts";
import { readImageOptions } from "../runs/open_run.ts";
import { readModelSource } from "../runs/model_source.ts";
import { describeLoadedModel } from "../text/model.ts";
import { openGpu } from "../api/open_gpu.ts";
import { note, print, printJson } from "./print.ts";
import { showDecoding } from "./progress.ts";
import { escapeLine } from "../text/escape.ts";
import { formatTable } from "../text/table.ts";

const usage = "./winnow predict --model NAME|FILE --images FOLDER|FILE [FLAGS]   (or: deno task predict ...)";
const summary =
  "Says which class a model sees in each image, and how probable that is by the model. Images are files, or those of a " +
  "data set, whose labels are not looked at, or an IDX file of images alone.";

const own = ownFlags({
  images: z.string().min(1).optional().meta({
    description:
      "An image (JPEG, PNG, WebP or GIF), a folder of images, a data set (class folders of images, CIFAR-10, IDX or shards), or an IDX file of images without labels.",
    wanted: "the path of a folder, of an image, or of an IDX file of images",
  }),
  split: z.enum(["test", "train"]).default("test").describe("Which images of a data set."),
  limit: z.int().min(0).default(0).describe("Images to predict, the first ones; 0 for all."),
  top: z.int().min(1).default(1).describe("Classes to name for each image, the most probable first."),
  ...jsonFlag,
}, { images: ["data.folder"], limit: ["data.testLimit"] });

/** The flags of a prune run for a model; here none is taken without being named. */
const modelFlags = selectFlags("model").filter(({ key }) => key !== "model.classes").map((field): FlagField =>
  field.key === "model.source" ? { ...field, default: undefined } : field
);

/** Its flags. */
export const fields: readonly FlagField[] = [
  ...modelFlags.slice(0, 1),
  ...own.fields,
  ...modelFlags.slice(1),
  ...selectFlags("data.size", "data.resize", "data.testShare", "data.splitSeed", "data.damaged"),
  ...selectFlags("device.adapter", "device.readPath", "device.evaluationBatch"),
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

const sources = {
  files: denoFiles,
  openReader: openDenoBlockReader,
  openDecoder: openDenoImageDecoder,
  note,
};

async function main(signal: AbortSignal): Promise<number> {
  const { help, values } = parseFlags(Deno.args, fields);
  if (help) {
    print(formatHelp({ usage, summary, fields }));
    return 0;
  }
  const needed = [["model.source", "model", "a model"], ["images", "images", "a folder or a file of images"]];
  for (const [key, flag, wanted] of needed) {
    if (values[key] !== undefined) continue;
    throw new ConfigError({ act: "predict", thing: `--${flag}`, current: "it is missing", wanted });
  }
  const { limit, top, split, json, images: path = "" } = own.read(values);
  const config = parseConfigFlags(values);
  const found = await showDecoding((onDecoded) => {
    const limits = { [split]: limit };
    const options = { ...readImageOptions(config, { onDecoded, signal }), limits };
    return loadImages(path, { ...sources, split, images: options });
  });
  const { classes = [], images, count, skipped } = found;
  const left = skipped && describeSkipped(skipped.length, skipped);
  if (left) note(left);
  if (!found.statistics && values.split !== undefined) {
    const current = `${path} holds images without labels, and has no splits`;
    throw new ConfigError({ act: "use", thing: "--split", current, wanted: "it beside a data set's folder" });
  }
  const { source } = config.model,
    preset = config.model.preset ?? (presetNames.includes(source) ? source : undefined);
  if (!found.classes && preset !== undefined) {
    const current = `without labels it does not say how many classes ${preset} tells apart`;
    throw new ConfigError({
      act: "predict",
      thing: path,
      current,
      wanted: "a data set's folder, or another model",
    });
  }
  const loaded = await loadModel(readModelSource(config.model), {
    files: denoFiles,
    task: { ...found, classes },
  });
  const task = taskToPredict(loaded, found);
  for (const line of describeLoadedModel(loaded, { ...task, classes: found.classes ?? task.classes })) {
    note(line);
  }
  const { adapter, readPath, evaluationBatch } = config.device;
  using gpu = await openGpu({ adapter, path: readPath, tune: "off", note, signal });
  note(`adapter: ${describeDevice(gpu)}`);
  using model = openModel(gpu, loaded, { task, evaluationBatch });
  const taken = limit === 0 ? count : Math.min(limit, count);
  const predictions = topClasses(await model.predict(images, { count: taken, signal }), { ...task, top });
  if (json) {
    printJson({
      model: loaded.graph.name,
      images: path,
      ...(found.classes ? { split } : {}),
      ...(skipped ? { skipped } : {}),
      adapter: gpu.adapter.name,
      gpu: gpu.identity,
      classes: task.classes,
      predictions: predictions.map((top, index) => ({ index, ...nameFile(found, index), top })),
    });
  } else print(formatPredictions(predictions, found));
  return 0;
}

/** The file of an image, where it has one of its own. */
function nameFile({ paths }: LoadedImages, index: number): { readonly file?: string } {
  return paths ? { file: paths[index] } : {};
}

/** A line per image: its file or its index, then the name and the probability of each class. */
function formatPredictions(
  predictions: readonly (readonly NamedClass[])[],
  found: LoadedImages,
): string {
  const columns = Array.from(predictions[0] ?? [], (_, i) => i === 0 ? "" : ` ${i + 1}`);
  const head = ["image", ...columns.flatMap((rank) => [`class${rank}`, `probability${rank}`])];
  const rows = predictions.map((top, index) => [
    escapeLine(nameFile(found, index).file ?? `${index}`),
    ...top.flatMap(({ name, probability }) => [name, probability.toFixed(4)]),
  ]);
  const isLeft = (i: number) => i % 2 === 1 || i === 0 && found.paths !== undefined;
  const align = head.map((_, i) => isLeft(i) ? "left" as const : "right" as const);
  return formatTable(head, rows, { align });
}

if (import.meta.main) await runStoppable(main);
