/**
 * What winnow writes about a model into the free text of its file, safetensors or ONNX: the masks (a bit per weight,
 * base64), how images are normalised, the classes, and how many examples it was trained on.
 *
 * @module
 */
import { describeRule, isNumberAs, type NumberRule, positiveCount } from "../checks.ts";
import { isNormalization, type NormalizationKey, normalizationWanted } from "../data/normalization.ts";
import { FormatError } from "../errors.ts";
import { parseJson } from "../json.ts";
import type { Graph } from "../model/graph.ts";
import type { PlacedParameter } from "../plan/layout.ts";
import { checkMask } from "./check_values.ts";
import { packMask, unpackMask } from "./sparse_tensors.ts";

/** What a model was made for, and on how much. */
export interface StoredTask {
  /** Mean and deviation of each input channel, of bytes divided by 255. */
  readonly normalization: { readonly mean: readonly number[]; readonly std: readonly number[] };
  readonly classes: readonly string[];
  /** The number of training examples; absent if it is not known. */
  readonly examples?: number;
}

/** The keys of winnow's texts. */
export const metadataKeys = {
  graph: "winnow.graph",
  masks: "winnow.masks",
  input: "winnow.input",
  training: "winnow.training",
} as const;

/** The free text of a file by key. */
export type Metadata = Readonly<Record<string, string>>;

/** How many examples a model may have been trained on. */
const examplesRule: NumberRule = { ...positiveCount, atMost: Number.MAX_SAFE_INTEGER };

function refuse(name: string, thing: string, current: string, wanted: string): never {
  throw new FormatError({ act: "read model", thing: `${name}, ${thing}`, current, wanted });
}

/** Reads one of winnow's texts. @throws {FormatError} If it is absent or no JSON. */
export function parseMetadata(metadata: Metadata, key: string, name: string): unknown {
  const text = metadata[key] ?? refuse(name, key, "no such metadata", "a file that winnow wrote");
  return parseJson(text, { act: "read model", thing: `${name}, ${key}`, wanted: "JSON" });
}

/** Describes a model in free text; `masks` are those that the file does not hold otherwise. */
export function describeModel(
  { masks, normalization, classes, examples }: StoredTask & {
    readonly masks: ReadonlyMap<string, Float32Array>;
  },
): Metadata {
  const packed = Object.fromEntries([...masks].map(([name, mask]) => [name, packBits(mask)]));
  return {
    [metadataKeys.masks]: JSON.stringify(packed),
    [metadataKeys.input]: JSON.stringify({ ...normalization, classes }),
    ...(examples === undefined ? {} : { [metadataKeys.training]: JSON.stringify({ examples }) }),
  };
}

/**
 * Reads the masks of a model.
 *
 * @throws {FormatError} If one is none, is there twice, or removes a weight that is not 0.
 */
export function readMasks(
  metadata: Metadata,
  { name, laidOut, parameters, others = new Map() }: {
    /** The file's name, for messages. */
    readonly name: string;
    readonly laidOut: readonly PlacedParameter[];
    readonly parameters: ReadonlyMap<string, Float32Array>;
    /** Masks that the file holds otherwise. Default: none. */
    readonly others?: ReadonlyMap<string, Float32Array>;
  },
): ReadonlyMap<string, Float32Array> {
  const masks = new Map(others), packed = parseMetadata(metadata, metadataKeys.masks, name);
  if (typeof packed !== "object" || packed === null || Array.isArray(packed)) {
    return refuse(name, metadataKeys.masks, JSON.stringify(packed).slice(0, 60), "a mask by name");
  }
  const bits = new Map<string, unknown>(Object.entries(packed));
  for (const { fullName, count, arena, shape } of laidOut) {
    if (arena === "statistics" || !bits.has(fullName)) continue;
    if (masks.has(fullName)) refuse(name, `mask of ${fullName}`, "two of them", "one of both");
    const mask = unpackBits(bits.get(fullName), count) ??
      refuse(name, `mask of ${fullName}`, "not base64 of its size", `${count} bits`);
    checkMask(parameters.get(fullName)!, mask, { act: "read model", thing: `${name}, ${fullName}`, shape });
    masks.set(fullName, mask);
    bits.delete(fullName);
  }
  for (const fullName of bits.keys()) {
    refuse(
      name,
      `mask of ${fullName}`,
      "no trained parameter has that name",
      "masks of parameters of the graph",
    );
  }
  return masks;
}

/**
 * Reads how images are normalised, the classes, and the number of training examples.
 *
 * @throws {FormatError} If one of them is not what it must be.
 */
export function readTask(
  metadata: Metadata,
  { input: { channels } }: Graph,
  name: string,
): StoredTask {
  const input = parseMetadata(metadata, metadataKeys.input, name) as Record<string, unknown> | null;
  const show = (value: unknown) => JSON.stringify(value)?.slice(0, 60) ?? "absent";
  const numbers = (key: NormalizationKey) => {
    const values = input?.[key];
    if (isNormalization(values, key, channels)) return values;
    return refuse(name, `${metadataKeys.input}, ${key}`, show(values), normalizationWanted(key, channels));
  };
  const normalization = { mean: numbers("mean"), std: numbers("std") };
  const classes = input?.classes;
  const isNames = Array.isArray(classes) && classes.every((item) => typeof item === "string") &&
    new Set(classes).size === classes.length;
  if (!isNames) {
    const wanted = "a list of names, each once";
    return refuse(name, `${metadataKeys.input}, classes`, show(classes), wanted);
  }
  // It is absent if it was not known.
  if (metadata[metadataKeys.training] === undefined) return { normalization, classes };
  const training = parseMetadata(metadata, metadataKeys.training, name) as Record<string, unknown> | null;
  const examples = training?.examples;
  if (isNumberAs(examples, examplesRule)) return { normalization, classes, examples: examples as number };
  return refuse(name, `${metadataKeys.training}, examples`, show(examples), describeRule(examplesRule));
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
