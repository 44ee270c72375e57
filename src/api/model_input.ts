/**
 * What images a network takes, where its file says it, before anything is known of the images.
 *
 * @module
 */
import type { ModelInput } from "../data/image_options.ts";
import { type Files, isOnnxPath, isWeightsPath } from "../files.ts";
import { readGraphInput, readInputSize } from "../io/read_weights.ts";
import { maxJsonBytes, parseJson } from "../json.ts";
import { presetNames } from "../model/presets.ts";
import type { ModelSource } from "./load_model.ts";

/**
 * The images that a model takes, by its file: a graph, an ONNX file, or weights that winnow wrote. Presets and weights of
 * others take the size of their images.
 *
 * @throws {FileError} If a file cannot be read.
 * @throws {FormatError} If it is damaged.
 */
export async function readModelInput(
  { model, weights }: ModelSource,
  files: Files,
): Promise<ModelInput | undefined> {
  const path = isWeightsPath(model) ? model : weights;
  if (path !== undefined && (isOnnxPath(path) || model === path)) return await readInputSize(path, files);
  if (presetNames.includes(model) || !/[./]/.test(model)) return undefined;
  const bytes = await files.read(model, { maxBytes: maxJsonBytes });
  const value = parseJson(bytes, { act: "read model", thing: model, wanted: "a model as JSON" });
  // What is no graph is refused where it is opened.
  return readGraphInput(value);
}
