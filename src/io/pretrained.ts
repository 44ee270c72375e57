/**
 * Model files of others: safetensors with PyTorch's names, whose architecture is given or recognised.
 *
 * @module
 */
import type { Graph } from "../model/graph.ts";
import type { LayerDefinition } from "../model/own_layer.ts";
import { decodeModel, isModelFile } from "./model_file.ts";
import { layOutParameters } from "../plan/layout.ts";
import { mergePruned } from "./pruned_tensors.ts";
import { parameterTensors, readParameters } from "./parameters.ts";
import type { ImageSize } from "./recognize_chain.ts";
import { familyNormalization, listShapes, type Normalization, recognizeArchitecture } from "./recognize.ts";
import { readSafetensors } from "./safetensors.ts";

/** The names of the images and the output in an ONNX file, by which programs that run it know them. */
export interface ValueNames {
  /** Of the images. */
  readonly input: string;
  /** Of the output. */
  readonly output: string;
}

/** The content of a file of weights. */
export interface PretrainedModel {
  readonly graph: Graph;
  /** Parameters and statistics by PyTorch's name, in PyTorch's order. */
  readonly parameters: ReadonlyMap<string, Float32Array>;
  /** Masks of the prunable weights by the weight's name, 1 keeps, 0 removes; empty if nothing is removed. */
  readonly masks: ReadonlyMap<string, Float32Array>;
  /** Mean and standard deviation of each input channel; absent if neither the file nor its family has them. */
  readonly normalization?: Normalization;
  /** Class names; absent if the file does not have them. */
  readonly classes?: readonly string[];
  /** What an ONNX file calls its images and its output. */
  readonly valueNames?: ValueNames;
  /** The number of training examples; absent if the file does not have it. */
  readonly examples?: number;
}

/**
 * Reads a file of weights: one that winnow wrote by its metadata, any other by the architecture that is given or, without
 * one, recognised from names and shapes. Weights that are zero in a file of others are not masked, but where it says so by a
 * `weight_orig` and `weight_mask`.
 *
 * @param name The file's name, for messages.
 * @throws {FormatError} If the file is damaged, its architecture is not known, or its tensors are not the model's.
 * @throws {ConfigError} If its graph is none.
 * @throws {ShapeError} If a layer of its graph does not fit its input.
 */
export function decodePretrained(
  bytes: Uint8Array,
  { name, size, graph, layers }: {
    readonly name: string;
    /** Height and width of the images. */
    readonly size: ImageSize;
    /** The architecture. Default: that of the file. */
    readonly graph?: Graph;
    /** Layers of the file's graph besides the library's. Default: none. */
    readonly layers?: readonly LayerDefinition[] | undefined;
  },
): PretrainedModel {
  const { tensors: stored, metadata } = readSafetensors(bytes, name);
  if (isModelFile(metadata)) return decodeModel(bytes, name, graph, layers);
  const names = graph && new Set(layOutParameters(graph).parameters.map(({ fullName }) => fullName));
  const { tensors, masks } = mergePruned(parameterTensors(stored, names), name);
  const known = graph ?? recognizeArchitecture(tensors, { size, name });
  const normalization = familyNormalization(listShapes(tensors));
  return {
    graph: known,
    parameters: readParameters(tensors, { graph: known, name }),
    masks,
    ...(normalization ? { normalization } : {}),
  };
}
