/**
 * The variance of a network's parameters over the steps that training averaged, as a safetensors file beside the
 * network's own: the criterion `snr` reads it, and a file for PyTorch cannot hold it.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { Graph } from "../model/graph.ts";
import { layOutParameters } from "../plan/layout.ts";
import { readParameters } from "./parameters.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";

const metadataKey = "winnow.variance", version = "1";

/**
 * Writes the variance of every trained parameter, by full name in PyTorch's order, as the bytes of a file; the same
 * variance gives the same bytes.
 */
export function encodeVariance(graph: Graph, variance: ReadonlyMap<string, Float32Array>): Uint8Array {
  const trained = layOutParameters(graph).parameters.filter(({ arena }) => arena === "values");
  const tensors = trained.map(({ fullName, shape }) => {
    return { name: fullName, dtype: "F32" as const, shape: [...shape], values: variance.get(fullName)! };
  });
  return writeSafetensors(tensors, { [metadataKey]: version });
}

/**
 * Reads the variance of every trained parameter, by full name in PyTorch's order.
 *
 * @param name The file's name, for messages.
 * @throws {FormatError} If the file is damaged or holds no variance, or its tensors are not those of the graph, not
 *   finite or below 0.
 */
export function decodeVariance(
  bytes: Uint8Array,
  name: string,
  graph: Graph,
): ReadonlyMap<string, Float32Array> {
  const { tensors, metadata } = readSafetensors(bytes, name), found = metadata[metadataKey];
  const refuse = (thing: string, current: string, wanted: string): never => {
    throw new FormatError({ act: "read variance", thing, current, wanted });
  };
  if (found !== version) {
    refuse(name, `metadata ${metadataKey} is ${JSON.stringify(found) ?? "absent"}`, `"${version}"`);
  }
  return readParameters(tensors, { graph, name, trainedOnly: true, act: "read variance", min: 0 });
}
