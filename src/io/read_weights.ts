/**
 * Files of weights by their paths: safetensors and ONNX.
 *
 * @module
 */
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { type Files, isOnnxPath } from "../files.ts";
import type { Graph } from "../model/graph.ts";
import type { LayerDefinition } from "../model/own_layer.ts";
import { isModelFile } from "./model_file.ts";
import { metadataKeys, parseMetadata } from "./model_metadata.ts";
import { decodeModelProto } from "./onnx/protobuf.ts";
import { readOnnxGraph } from "./onnx/graph.ts";
import { imageSizes } from "./onnx/channels_last.ts";
import { readOnnx } from "./onnx/read.ts";
import { decodePretrained, type PretrainedModel } from "./pretrained.ts";
import type { ImageSize } from "./recognize_chain.ts";
import { readSafetensors } from "./safetensors.ts";

const side = z.int().min(1);
const inputSchema = z.object({ input: z.object({ channels: side, height: side, width: side }) });

/** The images that a graph as JSON takes; undefined for what is none. Its layers are not looked at. */
export function readGraphInput(value: unknown): Graph["input"] | undefined {
  return inputSchema.safeParse(value).data?.input;
}

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

/**
 * Channels, height and width of the images that a file of weights takes; undefined where it leaves them open.
 *
 * @throws {FileError} If it cannot be read.
 * @throws {FormatError} If it is damaged.
 */
export async function readInputSize(
  path: string,
  files: Files,
): Promise<Graph["input"] | undefined> {
  const bytes = await files.read(path, { maxBytes });
  if (isOnnxPath(path)) {
    const [, channels, height, width] = imageSizes(readOnnxGraph(decodeModelProto(bytes, path), path));
    const isKnown = channels !== undefined && height !== undefined && width !== undefined;
    return isKnown ? { channels, height, width } : undefined;
  }
  const { metadata } = readSafetensors(bytes, path);
  return isModelFile(metadata)
    ? readGraphInput(parseMetadata(metadata, metadataKeys.graph, path))
    : undefined;
}
