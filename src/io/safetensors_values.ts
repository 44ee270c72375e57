/**
 * The elements of a stored tensor as numbers. Little-endian machines only, as WebGPU's are.
 *
 * @module
 */

import { FormatError } from "../errors.ts";
import { indexText } from "./check_values.ts";

/** The part of a stored tensor that holds its elements. */
export interface StoredValues {
  /** The element type, such as `F32`. */
  readonly dtype: string;
  /** The elements, little-endian, at any alignment. */
  readonly bytes: Uint8Array;
  /** Size of each dimension, for messages. Default: a vector. */
  readonly shape?: readonly number[];
}

/**
 * The elements of an F32, F16, BF16 or F64 tensor as new 32-bit floats; only F64 loses precision (rounded to nearest,
 * ties to even). Infinities and NaNs stay what they are.
 *
 * @param name the tensor's name, for errors.
 * @throws {FormatError} If the type is another one, or a finite F64 lies outside of the 32-bit floats' range.
 */
export function tensorFloats({ dtype, bytes, shape }: StoredValues, name: string): Float32Array<ArrayBuffer> {
  const aligned = copy(bytes);
  if (dtype === "F32") return new Float32Array(aligned);
  if (dtype === "F64") {
    const wide = new Float64Array(aligned), rounded = new Float32Array(wide);
    const wrong = wide.findIndex((value, i) => Number.isFinite(value) && !Number.isFinite(rounded[i]));
    if (wrong < 0) return rounded;
    const current = `F64 ${wide[wrong]} at its index ${indexText(wrong, shape ?? [wide.length])}`;
    throw new FormatError({
      act: "read floats of",
      thing: name,
      current,
      wanted: "a number within F32's range",
    });
  }
  if (dtype === "F16") return Float32Array.from(new Uint16Array(aligned), halfToFloat);
  if (dtype === "BF16") {
    // BF16 is the upper half of an F32.
    return new Float32Array(Uint32Array.from(new Uint16Array(aligned), (half) => half << 16).buffer);
  }
  const current = `its type is ${dtype}`;
  throw new FormatError({ act: "read floats of", thing: name, current, wanted: "F32, F16, BF16 or F64" });
}

/**
 * The elements of a model's parameter as new 32-bit floats: those of the float types, and integers that a 32-bit float
 * holds exactly, as in a mean or a mask that was saved so.
 *
 * @param name the tensor's name, for errors.
 * @throws {FormatError} If the type is BOOL or of 8-bit floats, or a number does not fit a 32-bit float.
 */
export function parameterFloats(tensor: StoredValues, name: string): Float32Array<ArrayBuffer> {
  const wide = INTEGERS.get(tensor.dtype)?.(copy(tensor.bytes));
  if (wide === undefined) return tensorFloats(tensor, name);
  const exact = Float32Array.from<number | bigint>(wide, Number);
  // Compared as the integer type: the number of a large 64-bit integer is rounded itself.
  const wrong = wide.findIndex((value, i) => BigInt(value) !== BigInt(exact[i]));
  if (wrong < 0) return exact;
  const index = indexText(wrong, tensor.shape ?? [wide.length]);
  const current = `${tensor.dtype} ${wide[wrong]} at its index ${index}`;
  throw new FormatError({
    act: "read floats of",
    thing: name,
    current,
    wanted: "a number that F32 holds exactly",
  });
}

type NumberView = (buffer: ArrayBuffer) => readonly (number | bigint)[];

/** How the bytes of each integer type are seen as numbers. */
const INTEGERS: ReadonlyMap<string, NumberView> = new Map<string, NumberView>([
  ["U8", (buffer) => [...new Uint8Array(buffer)]],
  ["I8", (buffer) => [...new Int8Array(buffer)]],
  ["U16", (buffer) => [...new Uint16Array(buffer)]],
  ["I16", (buffer) => [...new Int16Array(buffer)]],
  ["U32", (buffer) => [...new Uint32Array(buffer)]],
  ["I32", (buffer) => [...new Int32Array(buffer)]],
  ["U64", (buffer) => [...new BigUint64Array(buffer)]],
  ["I64", (buffer) => [...new BigInt64Array(buffer)]],
]);

/**
 * The elements of an I32, I64, U8 or BOOL tensor as new 32-bit integers.
 *
 * @param name the tensor's name, for errors.
 * @throws {FormatError} If the type is another one, an I64 does not fit 32 bits, or a BOOL is neither 0 nor 1.
 */
export function tensorIntegers({ dtype, bytes }: StoredValues, name: string): Int32Array<ArrayBuffer> {
  const refuse = (current: string, wanted: string): never => {
    throw new FormatError({ act: "read integers of", thing: name, current, wanted });
  };
  if (dtype === "I32") return new Int32Array(copy(bytes));
  if (dtype === "U8") return new Int32Array(bytes);
  if (dtype === "BOOL") {
    const wrong = bytes.findIndex((value) => value > 1);
    if (wrong >= 0) refuse(`BOOL ${bytes[wrong]} at its byte ${wrong}`, "0 or 1");
    return new Int32Array(bytes);
  }
  if (dtype === "I64") {
    const wide = new BigInt64Array(copy(bytes));
    const wrong = wide.findIndex((value) => value !== BigInt.asIntN(32, value));
    if (wrong >= 0) refuse(`I64 ${wide[wrong]} at its byte ${8 * wrong}`, "a number of 32 bits");
    return Int32Array.from(wide, Number);
  }
  return refuse(`its type is ${dtype}`, "I32, I64, U8 or BOOL");
}

/** Copies bytes to the start of a new buffer, where every element type is aligned. */
function copy(bytes: Uint8Array): ArrayBuffer {
  const copied = new Uint8Array(bytes.length);
  copied.set(bytes);
  return copied.buffer;
}

/** IEEE 754 binary16 to a number: 1 sign bit, 5 exponent bits with bias 15, 10 fraction bits. */
function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1, exponent = (half >> 10) & 31, fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
