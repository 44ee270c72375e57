/**
 * Opening a model from what a user names: a preset, a graph in JSON, or a file of weights.
 *
 * @module
 */
import { isNormalization, normalizationWanted } from "../data/normalization.ts";
import { ConfigError, ShapeError } from "../errors.ts";
import { type Files, isWeightsPath } from "../files.ts";
import type { Gpu } from "../gpu/device.ts";
import type { PretrainedModel, ValueNames } from "../io/pretrained.ts";
import { readWeights } from "../io/read_weights.ts";
import type { Normalization } from "../io/recognize.ts";
import { maxJsonBytes, parseJson } from "../json.ts";
import { type ClassificationTask, type Graph, type GraphOptions, parseGraph } from "../model/graph.ts";
import { presetNames, presetNetwork } from "../model/presets.ts";
import { initialValues } from "../model/initialize.ts";
import { type NewHead, replaceHead } from "../model/new_head.ts";
import { getLayerName, layOutParameters } from "../plan/layout.ts";
import { describeAlternatives } from "../nearest.ts";
import { filesFor } from "./host.ts";
import { Model } from "./model.ts";
import { taskOf } from "./model_core.ts";
import type { ModelOptions, ModelState } from "./model_options.ts";

/** Which model to open. */
export interface ModelSource {
  /** A preset's name, or the path of a graph in JSON or of weights in a safetensors file. */
  readonly model: string;
  /** The preset that a safetensors file holds the weights of; recognised from names and shapes where left out. */
  readonly preset?: string | undefined;
  /** The path of a safetensors file with weights for a preset or a graph. */
  readonly weights?: string | undefined;
  /** How many classes it gets: where it has others, its last layer is new. Default: those that it has. */
  readonly classes?: number | undefined;
  /** The seed of a new layer's weights. Default: 0. */
  readonly seed?: number | undefined;
  /** Mean of each channel in units where 255 is 1, instead of what the file says. */
  readonly mean?: readonly number[] | undefined;
  /** Standard deviation of each channel in units where 255 is 1; with `mean`. */
  readonly std?: readonly number[] | undefined;
}

/** A model that was opened: its graph, and its weights where it has any. */
export interface LoadedModel {
  /** The layers. */
  readonly graph: Graph;
  /** Parameters and masks, PyTorch's names and order; absent for random ones. */
  readonly weights?: ModelState;
  /** Mean and deviation of each channel that images are normalised by; those of the data set where left out. */
  readonly normalization?: Normalization;
  /** Who says so: the caller, the file, the family of the architecture, or nobody, so that the data set decides. */
  readonly normalizedBy: "options" | "file" | "family" | "data set";
  /** The last layer, where it is new, and how many classes it had before. */
  readonly newHead?: { readonly layer: string; readonly before: number };
  /** The class names in the file, where it has any. */
  readonly classes?: readonly string[];
  /** What an ONNX file calls its images and its output. */
  readonly valueNames?: ValueNames;
  /** How many examples the weights were trained on, where the file tells. */
  readonly examples?: number;
}

/** What a model is opened by and for. `layers` are those that it may have beside the library's. */
export interface SourceTools extends GraphOptions {
  /** The file system. Default: the runtime's. */
  readonly files?: Files | undefined;
  /** The images and classes that it is for. */
  readonly task: Omit<ClassificationTask, "name">;
}

type OpenTools = SourceTools & { readonly files: Files };

/**
 * Opens a model for the images and classes of a task. Whether it fits them is found by `checkGraphFits`.
 *
 * @throws {ConfigError} If the options contradict each other, or the model is neither a preset nor a file.
 * @throws {FileError} If a file cannot be read.
 * @throws {FormatError} If a file is damaged, or its tensors are not the model's.
 * @throws {ShapeError} If a layer does not fit its input, or the mean and deviation the channels.
 */
export async function loadModel(
  source: ModelSource,
  { files: ownFiles, ...tools }: SourceTools,
): Promise<LoadedModel> {
  const files = filesFor(ownFiles, "load", source.model);
  const { graph, weights, newHead } = renewHead(await readSource(source, { files, ...tools }), source);
  const { channels } = weights?.graph.input ?? graph!.input;
  const given = readNormalization(source, channels);
  const normalization = given ?? weights?.normalization;
  const stated = weights?.classes === undefined ? "family" : "file";
  return {
    graph: weights?.graph ?? graph!,
    normalizedBy: given ? "options" : normalization ? stated : "data set",
    ...(weights ? { weights: { parameters: weights.parameters, masks: weights.masks } } : {}),
    ...(normalization ? { normalization } : {}),
    ...(weights?.valueNames ? { valueNames: weights.valueNames } : {}),
    ...(newHead ? { newHead: { layer: newHead.layer, before: newHead.before } } : {}),
    ...(weights?.classes && !newHead ? { classes: weights.classes } : {}),
    ...(weights?.examples === undefined ? {} : { examples: weights.examples }),
  };
}

/**
 * Puts a loaded model on a device; without weights its first values are drawn from the seed.
 *
 * @throws {ConfigError} If nothing says what its images and classes are.
 * @throws {ShapeError} If it does not fit the task.
 */
export function openModel(
  gpu: Gpu,
  { graph, weights, normalization, examples }: LoadedModel,
  options: ModelOptions,
): Model {
  const model = new Model(gpu, graph, {
    examples,
    ...options,
    task: { ...taskOf(graph, options), ...normalization },
  });
  if (weights) model.restore(weights);
  return model;
}

/** A graph without weights, or weights with their graph. */
interface ReadSource {
  readonly graph?: Graph;
  readonly weights?: PretrainedModel;
}

/** Gives what was read the number of classes that is asked for: the weights of a new last layer are drawn from the seed. */
function renewHead(
  read: ReadSource,
  { classes, seed = 0 }: ModelSource,
): ReadSource & { readonly newHead?: NewHead } {
  const newHead = classes === undefined
    ? undefined
    : replaceHead(read.weights?.graph ?? read.graph!, classes);
  if (!newHead) return read;
  const { graph, layer } = newHead;
  if (!read.weights) return { graph, newHead };
  const drawn = layOutParameters(graph).parameters.filter((parameter) => getLayerName(parameter) === layer)
    .map((parameter) =>
      [parameter.fullName, initialValues(parameter, { seed, stream: parameter.stream })] as const
    );
  const parameters = new Map([...read.weights.parameters, ...drawn]), masks = new Map(read.weights.masks);
  for (const [fullName] of drawn) masks.delete(fullName);
  return { weights: { ...read.weights, graph, parameters, masks }, newHead };
}

/** Reads what a source names. */
async function readSource({ model, preset, weights }: ModelSource, tools: OpenTools): Promise<ReadSource> {
  const { channels, height, width, classes } = tools.task;
  // How images are normalised is said by what was loaded, not by the graph.
  const makePreset = (name: string) =>
    presetNetwork(name, { channels, height, width, classes: classes.length });
  const read = (path: string, graph?: Graph) =>
    readWeights(path, { files: tools.files, size: tools.task, layers: tools.layers, graph });
  if (isWeightsPath(model)) {
    if (weights !== undefined) refuseOption("weights", weights, `no weights beside those of ${model}`);
    return { weights: await read(model, preset === undefined ? undefined : makePreset(preset)) };
  }
  if (preset !== undefined) refuseOption("preset", preset, "it beside a model that is a safetensors file");
  const graph = presetNames.includes(model) ? makePreset(model) : await readGraph(model, tools);
  return weights === undefined ? { graph } : { weights: await read(weights, graph) };
}

async function readGraph(path: string, { files, layers = [] }: OpenTools): Promise<Graph> {
  if (!path.includes("/") && !path.includes(".") && await files.sizeBytes(path) === undefined) {
    const wanted = `${describeAlternatives(path, presetNames)}, or the path of a file`;
    throw new ConfigError({ act: "open model", thing: path, current: "it is no preset and no file", wanted });
  }
  const bytes = await files.read(path, { maxBytes: maxJsonBytes });
  const value = parseJson(bytes, { act: "read model", thing: path, wanted: "a model as JSON" });
  return parseGraph(value, path, { layers });
}

function readNormalization({ mean, std }: ModelSource, channels: number): Normalization | undefined {
  if (mean === undefined && std === undefined) return undefined;
  for (const [option, values] of [["mean", mean], ["std", std]] as const) {
    const wanted = normalizationWanted(option, channels);
    if (values === undefined) throw refusal(option, "it is missing", wanted);
    const text = `[${values.slice(0, 4).join(", ")}]`;
    if (!isNormalization(values, option, channels)) throw refusal(option, text, wanted);
  }
  return { mean: mean!, std: std! };
}

function refusal(option: string, current: string, wanted: string): ShapeError {
  return new ShapeError({ act: "normalise by", thing: option, current, wanted });
}

function refuseOption(thing: string, value: string, wanted: string): never {
  throw new ConfigError({ act: "use", thing, current: `"${value}"`, wanted });
}
