/**
 * What operators on numbers of a file share: how they are computed, their inputs and axes, and picking of elements.
 *
 * @module
 */
import { FormatError } from "../../errors.ts";
import { describeNode, type OnnxNode } from "./graph.ts";
import { countElements, type ExternalData, type OnnxTensor } from "./tensor.ts";

/** What a node is folded by. */
export interface Folding {
  /** The file's name, for messages. */
  readonly file: string;
  readonly external: ExternalData;
  /** Counts numbers that do not stand in the file. @throws {FormatError} If they are too many. */
  spend(count: number, node: OnnxNode): void;
}

/** Computes the output of a node from its inputs; undefined for an input that is left out. */
export type Fold = (
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
  folding: Folding,
) => OnnxTensor;

/** An input that must be there. */
export function need(
  inputs: readonly (OnnxTensor | undefined)[],
  i: number,
  node: OnnxNode,
  { file }: Folding,
): OnnxTensor {
  return inputs[i] ?? refuse(node, file, `it has no input ${i}`, "all inputs of its operator");
}

export function refuse(node: OnnxNode, file: string, current: string, wanted: string): never {
  throw new FormatError({ act: "read", thing: `${file}, ${describeNode(node)}`, current, wanted });
}

/** An axis that may be counted from the end. */
export function resolveAxis(axis: number, rank: number, node: OnnxNode, { file }: Folding): number {
  const resolved = axis < 0 ? axis + rank : axis;
  if (resolved >= 0 && resolved < rank) return resolved;
  return refuse(node, file, `axis ${axis} of ${rank} dimensions`, "an axis of its input");
}

/** A tensor of another shape whose element i is element `source(i)` of one. */
export function pick(
  { values, isInteger }: OnnxTensor,
  shape: readonly number[],
  source: (i: number) => number,
): OnnxTensor {
  const picked = values instanceof Float32Array
    ? new Float32Array(countElements(shape))
    : new Float64Array(countElements(shape));
  for (let i = 0; i < picked.length; i++) picked[i] = values[source(i)];
  return { shape, values: picked, isInteger };
}

/** The numbers between two neighbours along each axis. */
export function findStrides(shape: readonly number[]): readonly number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}
