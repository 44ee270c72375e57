/**
 * Model files: safetensors with PyTorch's names and layouts, so that `load_state_dict` takes them as they are. The
 * graph, the masks (a bit per weight, base64), how images are normalised and how many the model was trained on stand in
 * the metadata. A sparse file instead holds weights without the removed ones (sparse_tensors.ts), for winnow alone.
 *
 * @module
 */
import { describeRule, isNumberAs, type NumberRule, positiveCount } from "../checks.ts";
import { isNormalization, type NormalizationKey, normalizationWanted } from "../data/normalization.ts";
import { FormatError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { type Graph, parseGraph } from "../model/graph.ts";
import type { LayerDefinition } from "../model/own_layer.ts";
import { layOutParameters } from "../plan/layout.ts";
import { checkMask } from "./check_values.ts";
import { readParameters } from "./parameters.ts";
import { type NewTensor, readSafetensors, writeSafetensors } from "./safetensors.ts";
import { packMask, sparseTensors, unpackMask, wholeTensors } from "./sparse_tensors.ts";

/** The content of a model file. */
export interface StoredModel {
  readonly graph: Graph;
  /** Parameters and statistics by PyTorch's name, in PyTorch's order. */
  readonly parameters: ReadonlyMap<string, Float32Array>;
  /**
   * Masks of trained parameters by name, 1 keeps, 0 removes: of prunable weights, and of other parameters if any of
   * their numbers is removed.
   */
  readonly masks: ReadonlyMap<string, Float32Array>;
  /** Mean and deviation of each input channel, of bytes divided by 255. */
  readonly normalization: { readonly mean: readonly number[]; readonly std: readonly number[] };
  readonly classes: readonly string[];
  /** The number of training examples; absent if it is not known. */
  readonly examples?: number;
}

const metadataKeys = {
  graph: "winnow.graph",
  masks: "winnow.masks",
  input: "winnow.input",
  training: "winnow.training",
} as const;

/** How many examples a model may have been trained on. */
const examplesRule: NumberRule = { ...positiveCount, atMost: Number.MAX_SAFE_INTEGER };

/** `dense`: the file holds all weights, for PyTorch. `sparse`: it skips removed weights if that is smaller. */
export type WeightStore = "dense" | "sparse";

/**
 * Writes a model as the bytes of a safetensors file; the same model gives the same bytes.
 *
 * @throws {ConfigError} If the graph is not one that a file may hold.
 * @throws {FormatError} If a mask removes a weight that is not 0.
 */
export function encodeModel(
  { graph, parameters, masks, normalization, classes, examples }: StoredModel,
  store: WeightStore = "dense",
): Uint8Array {
  const packed: Record<string, string> = {};
  const tensors = layOutParameters(graph).parameters.flatMap(({ fullName, shape }): readonly NewTensor[] => {
    const values = parameters.get(fullName)!, mask = masks.get(fullName);
    if (mask) checkMask(values, mask, { act: "write model", thing: `${graph.name}, ${fullName}`, shape });
    const sparse = store === "sparse" && mask ? sparseTensors(fullName, values, mask) : undefined;
    if (sparse) return sparse;
    if (mask) packed[fullName] = packBits(mask);
    return [{ name: fullName, dtype: "F32", shape: [...shape], values }];
  });
  return writeSafetensors(tensors, {
    format: "pt",
    // Parsed for its keys to have one order, however the graph was made.
    [metadataKeys.graph]: JSON.stringify(parseGraph(graph, graph.name)),
    [metadataKeys.masks]: JSON.stringify(packed),
    [metadataKeys.input]: JSON.stringify({ ...normalization, classes }),
    ...(examples === undefined ? {} : { [metadataKeys.training]: JSON.stringify({ examples }) }),
  });
}

/** True for the metadata of a model file that winnow wrote. */
export function isModelFile(metadata: Readonly<Record<string, string>>): boolean {
  return metadata[metadataKeys.graph] !== undefined;
}

/**
 * Reads a model file that winnow wrote.
 *
 * @param name The file's name, for messages.
 * @param given The graph to use instead of the file's own.
 * @param layers The layers that the file's graph may have beside the library's.
 * @throws {FormatError} If it is damaged, was not written by winnow, or its tensors are not the graph's or not
 *   finite, or a mask removes a weight that is not 0.
 * @throws {ConfigError} If its graph is none.
 * @throws {ShapeError} If a layer of its graph does not fit its input.
 */
export function decodeModel(
  bytes: Uint8Array,
  name: string,
  given?: Graph,
  layers: readonly LayerDefinition[] = [],
): StoredModel {
  const { tensors: stored, metadata } = readSafetensors(bytes, name);
  const refuse = (thing: string, current: string, wanted: string): never => {
    throw new FormatError({ act: "read model", thing: `${name}, ${thing}`, current, wanted });
  };
  const parse = (key: string): unknown => {
    const text = metadata[key] ?? refuse(key, "no such metadata", "a file that winnow wrote");
    return parseJson(text, { act: "read model", thing: `${name}, ${key}`, wanted: "JSON" });
  };
  const graph = given ?? parseGraph(parse(metadataKeys.graph), name, { layers });
  const { parameters: laidOut } = layOutParameters(graph),
    weights = laidOut.filter(({ prunable }) => prunable);
  const { tensors, masks: sparseMasks } = wholeTensors(stored, { weights, name });
  const parameters = readParameters(tensors, { graph, name });
  const masks = new Map(sparseMasks);
  const packed = parse(metadataKeys.masks);
  if (typeof packed !== "object" || packed === null || Array.isArray(packed)) {
    return refuse(metadataKeys.masks, JSON.stringify(packed).slice(0, 60), "a mask by name");
  }
  const bits = new Map<string, unknown>(Object.entries(packed));
  for (const { fullName, count, arena, shape } of laidOut) {
    if (arena === "statistics" || !bits.has(fullName)) continue;
    if (masks.has(fullName)) refuse(`mask of ${fullName}`, "two of them", "one of both");
    const mask = unpackBits(bits.get(fullName), count) ??
      refuse(`mask of ${fullName}`, "not base64 of its size", `${count} bits`);
    checkMask(parameters.get(fullName)!, mask, { act: "read model", thing: `${name}, ${fullName}`, shape });
    masks.set(fullName, mask);
    bits.delete(fullName);
  }
  for (const fullName of bits.keys()) {
    refuse(`mask of ${fullName}`, "no trained parameter has that name", "masks of parameters of the graph");
  }
  const input = parse(metadataKeys.input) as Record<string, unknown> | null;
  const { channels } = graph.input,
    show = (value: unknown) => JSON.stringify(value)?.slice(0, 60) ?? "absent";
  const numbers = (key: NormalizationKey) => {
    const values = input?.[key];
    if (isNormalization(values, key, channels)) return values;
    return refuse(`${metadataKeys.input}, ${key}`, show(values), normalizationWanted(key, channels));
  };
  const normalization = { mean: numbers("mean"), std: numbers("std") };
  const classes = input?.classes;
  const isNames = Array.isArray(classes) && classes.every((item) => typeof item === "string") &&
    new Set(classes).size === classes.length;
  if (!isNames) {
    const wanted = "a list of names, each once";
    return refuse(`${metadataKeys.input}, classes`, show(classes), wanted);
  }
  const model = { graph, parameters, masks, normalization, classes };
  // It is absent if it was not known.
  if (metadata[metadataKeys.training] === undefined) return model;
  const training = parse(metadataKeys.training) as Record<string, unknown> | null,
    examples = training?.examples;
  if (isNumberAs(examples, examplesRule)) return { ...model, examples: examples as number };
  return refuse(`${metadataKeys.training}, examples`, show(examples), describeRule(examplesRule));
}

/** Packs a mask into bits, as base64. */
function packBits(mask: Float32Array): string {
  return btoa(Array.from(packMask(mask), (byte) => String.fromCharCode(byte)).join(""));
}

function unpackBits(text: unknown, count: number): Float32Array | undefined {
  if (typeof text !== "string") return undefined;
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    return undefined;
  }
  if (binary.length !== Math.ceil(count / 8)) return undefined;
  return unpackMask(Uint8Array.from(binary, (character) => character.charCodeAt(0)), count);
}
