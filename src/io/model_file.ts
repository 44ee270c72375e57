/**
 * Model files: safetensors with PyTorch's names and layouts, so that `load_state_dict` takes them as they are. The
 * graph, the masks (a bit per weight, base64), how images are normalised and how many the model was trained on stand in
 * the metadata. A sparse file instead holds weights without the removed ones (sparse_tensors.ts), for winnow alone.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { isOnnxPath, isWeightsPath } from "../files.ts";
import { type Graph, parseGraph } from "../model/graph.ts";
import type { LayerDefinition } from "../model/own_layer.ts";
import { layOutParameters } from "../plan/layout.ts";
import { checkMask } from "./check_values.ts";
import {
  describeModel,
  metadataKeys,
  parseMetadata,
  readMasks,
  readTask,
  type StoredTask,
} from "./model_metadata.ts";
import { readParameters } from "./parameters.ts";
import { type NewTensor, readSafetensors, writeSafetensors } from "./safetensors.ts";
import { sparseTensors, wholeTensors } from "./sparse_tensors.ts";

/** The content of a model file. */
export interface StoredModel extends StoredTask {
  readonly graph: Graph;
  /** Parameters and statistics by PyTorch's name, in PyTorch's order. */
  readonly parameters: ReadonlyMap<string, Float32Array>;
  /**
   * Masks of trained parameters by name, 1 keeps, 0 removes: of prunable weights, and of other parameters if any of
   * their numbers is removed.
   */
  readonly masks: ReadonlyMap<string, Float32Array>;
}

/** `dense`: the file holds all weights, for PyTorch. `sparse`: it skips removed weights if that is smaller. */
export type WeightStore = "dense" | "sparse";

/**
 * Checks that a model can be saved at a path so that what reads it finds its format: by the ending.
 *
 * @throws {ConfigError} If the path ends in neither `.safetensors` nor `.onnx`, or in `.onnx` for a sparse file.
 */
export function checkSavePath(path: string, store: WeightStore): void {
  const refuse = (current: string, wanted: string) => {
    throw new ConfigError({ act: "save model", thing: path, current, wanted });
  };
  if (!isWeightsPath(path)) refuse("its ending names no format", "a name that ends in .safetensors or .onnx");
  if (store === "sparse" && isOnnxPath(path)) {
    refuse("ONNX holds all weights, and store is sparse", "dense, or a name that ends in .safetensors");
  }
}

/**
 * Writes a model as the bytes of a safetensors file; the same model gives the same bytes.
 *
 * @throws {ConfigError} If the graph is not one that a file may hold.
 * @throws {FormatError} If a mask removes a weight that is not 0.
 */
export function encodeModel(
  { graph, parameters, masks, ...model }: StoredModel,
  store: WeightStore = "dense",
): Uint8Array {
  const whole = new Map<string, Float32Array>();
  const tensors = layOutParameters(graph).parameters.flatMap(({ fullName, shape }): readonly NewTensor[] => {
    const values = parameters.get(fullName)!, mask = masks.get(fullName);
    if (mask) checkMask(values, mask, { act: "write model", thing: `${graph.name}, ${fullName}`, shape });
    const sparse = store === "sparse" && mask ? sparseTensors(fullName, values, mask) : undefined;
    if (sparse) return sparse;
    if (mask) whole.set(fullName, mask);
    return [{ name: fullName, dtype: "F32", shape: [...shape], values }];
  });
  return writeSafetensors(tensors, {
    format: "pt",
    // Parsed for its keys to have one order, however the graph was made.
    [metadataKeys.graph]: JSON.stringify(parseGraph(graph, graph.name)),
    ...describeModel({ masks: whole, ...model }),
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
  const graph = given ?? parseGraph(parseMetadata(metadata, metadataKeys.graph, name), name, { layers });
  const { parameters: laidOut } = layOutParameters(graph),
    weights = laidOut.filter(({ prunable }) => prunable);
  const { tensors, masks: sparseMasks } = wholeTensors(stored, { weights, name });
  const parameters = readParameters(tensors, { graph, name });
  const masks = readMasks(metadata, { name, laidOut, parameters, others: sparseMasks });
  return { graph, parameters, masks, ...readTask(metadata, graph, name) };
}
