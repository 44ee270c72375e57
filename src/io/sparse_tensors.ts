/**
 * Weights stored without their removed numbers: `NAME.mask` (U8) has one bit per weight in PyTorch's order, the first
 * in the lowest bit of the first byte, 1 for kept weights; `NAME.values` (F32) has the kept weights in that order.
 * Nothing is lost; from 4 % of removed weights on it is smaller than `NAME` itself.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { type NewTensor, type StoredTensor, tensorFloats } from "./safetensors.ts";

/** Bytes that a tensor's line in a file's header takes, about. */
const entryBytes = 128;

/** A weight and its name and shape in PyTorch. */
export interface SparseWeight {
  /** The weight's name, such as `conv1.weight`. */
  readonly fullName: string;
  readonly shape: readonly number[];
  /** Numbers in all. */
  readonly count: number;
}

/** Packs a mask into bits, the first in the lowest bit of the first byte. */
export function packMask(mask: Float32Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(mask.length / 8));
  for (const [i, keep] of mask.entries()) if (keep !== 0) bytes[i >> 3] |= 1 << (i & 7);
  return bytes;
}

/** The inverse of `packMask`: 1 keeps, 0 removes. */
export function unpackMask(bytes: ArrayLike<number>, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => (bytes[i >> 3] >> (i & 7)) & 1);
}

/**
 * The two tensors of a weight, or undefined if they would not be smaller, or where a removed weight is not zero and
 * would be lost.
 *
 * @param values The weight in PyTorch's order.
 * @param mask 1 keeps, 0 removes.
 */
export function sparseTensors(
  fullName: string,
  values: Float32Array,
  mask: Float32Array,
): readonly NewTensor[] | undefined {
  const kept = values.filter((_, i) => mask[i] !== 0), bits = packMask(mask);
  const isSmaller = bits.length + 4 * kept.length + entryBytes < 4 * values.length;
  if (!isSmaller || values.some((value, i) => mask[i] === 0 && value !== 0)) return undefined;
  return [
    { name: `${fullName}.mask`, dtype: "U8", shape: [bits.length], values: bits },
    { name: `${fullName}.values`, dtype: "F32", shape: [kept.length], values: kept },
  ];
}

/**
 * Replaces sparse weights of a file by whole weights.
 *
 * @param name The file's name, for messages.
 * @returns All tensors of the file with whole weights, and the masks of those that were not whole.
 * @throws {FormatError} If one of the two tensors is missing or not of the weight's size, or both and the whole weight
 *   are there.
 */
export function wholeTensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  { weights, name }: { readonly weights: readonly SparseWeight[]; readonly name: string },
): {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly masks: ReadonlyMap<string, Float32Array>;
} {
  const whole = new Map(tensors), masks = new Map<string, Float32Array>();
  for (const { fullName, shape, count } of weights) {
    const names = [`${fullName}.mask`, `${fullName}.values`], found = names.map((part) => tensors.get(part));
    const [bits, kept] = found;
    if (!bits && !kept) continue;
    const refuse = (current: string, wanted: string): never => {
      throw new FormatError({ act: "read model", thing: `${name}, ${fullName}`, current, wanted });
    };
    if (!bits || !kept) {
      return refuse(`${names[bits ? 1 : 0]} is missing`, `it beside ${names[bits ? 0 : 1]}`);
    }
    if (tensors.has(fullName)) return refuse(`it is there beside ${names[0]}`, "one of both");
    const maskBytes = Math.ceil(count / 8);
    if (bits.dtype !== "U8" || bits.bytes.length !== maskBytes) {
      return refuse(`a mask of ${bits.bytes.length} bytes ${bits.dtype}`, `${maskBytes} bytes U8`);
    }
    const mask = unpackMask(bits.bytes, count), values = tensorFloats(kept, `${name}, ${names[1]}`);
    const keptCount = mask.reduce((sum, keep) => sum + keep, 0);
    if (values.length !== keptCount) {
      return refuse(`${values.length} kept values`, `${keptCount}, one per bit of the mask`);
    }
    let next = 0;
    const dense = mask.map((keep) => keep === 0 ? 0 : values[next++]);
    for (const part of names) whole.delete(part);
    whole.set(fullName, { dtype: "F32", shape, bytes: new Uint8Array(dense.buffer) });
    masks.set(fullName, mask);
  }
  return { tensors: whole, masks };
}
