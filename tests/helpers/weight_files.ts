/**
 * Files of weights as PyTorch would save them, without winnow's metadata.
 *
 * @module
 */
import { type NewTensor, writeSafetensors } from "../../src/io/safetensors.ts";
import type { Graph } from "../../src/model/graph.ts";
import { layOutParameters } from "../../src/plan/layout.ts";

/** A tensor of 32-bit floats. */
export type FloatTensor = Extract<NewTensor, { readonly dtype: "F32" }>;

/** The tensors of a model, in PyTorch's order: ramps, each from a number of its own. */
export function weightTensors(graph: Graph): readonly FloatTensor[] {
  return layOutParameters(graph).parameters.map(({ fullName: name, shape, count }, tensor): FloatTensor => {
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = 0.01 * (1 + (i + tensor) % 13);
    return { name, dtype: "F32", shape: [...shape], values };
  });
}

/** The file of a model, with what is put in the place of its tensors. */
export function weightFile(
  graph: Graph,
  change: (tensors: readonly NewTensor[]) => readonly NewTensor[] = (tensors) => tensors,
): Uint8Array {
  return writeSafetensors(change(weightTensors(graph)), { format: "pt" });
}
