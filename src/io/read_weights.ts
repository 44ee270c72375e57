/**
 * Files of weights by their paths: safetensors and ONNX.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { type Files, isOnnxPath } from "../files.ts";
import type { Graph } from "../model/graph.ts";
import type { LayerDefinition } from "../model/own_layer.ts";
import { readOnnx } from "./onnx/read.ts";
import { decodePretrained, type PretrainedModel } from "./pretrained.ts";
import type { ImageSize } from "./recognize_chain.ts";

/** The largest file of weights that is read, in bytes. */
const maxBytes = 2 ** 32;

/**
 * Reads a file of weights.
 *
 * @throws {FileError} If a file cannot be read.
 * @throws {FormatError} If it is damaged, its architecture is not known, or its tensors are not the model's.
 * @throws {ConfigError} If its graph is none, or one is given for an ONNX file, which has its own.
 * @throws {ShapeError} If a layer of its graph does not fit its input.
 */
export async function readWeights(
  path: string,
  { files, size, graph, layers }: {
    readonly files: Files;
    /** Height and width of the images, for files that do not tell. */
    readonly size: ImageSize;
    /** The architecture of a safetensors file. Default: that of the file, or the one that is recognised. */
    readonly graph?: Graph | undefined;
    /** Layers of the file's graph besides the library's. Default: none. */
    readonly layers?: readonly LayerDefinition[] | undefined;
  },
): Promise<PretrainedModel> {
  if (isOnnxPath(path) && graph) {
    const current = `the architecture ${graph.name} is given`;
    throw new ConfigError({ act: "read", thing: path, current, wanted: "the file alone: it has its own" });
  }
  const bytes = await files.read(path, { maxBytes });
  if (isOnnxPath(path)) return await readOnnx(bytes, { name: path, size, files });
  return decodePretrained(bytes, { name: path, size, layers, ...(graph ? { graph } : {}) });
}
