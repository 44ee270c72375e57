/**
 * Definitions that reading and writing safetensors files share.
 *
 * @module
 */

/** The element types that are read, in the order of the reference implementation, with their size in bytes. */
export const DTYPE_BYTES: ReadonlyMap<string, number> = new Map([
  ["BOOL", 1],
  ["U8", 1],
  ["I8", 1],
  ["F8_E5M2", 1],
  ["F8_E4M3", 1],
  ["I16", 2],
  ["U16", 2],
  ["F16", 2],
  ["BF16", 2],
  ["I32", 4],
  ["U32", 4],
  ["F32", 4],
  ["F64", 8],
  ["I64", 8],
  ["U64", 8],
]);
/** The key of the header that names no tensor. */
export const METADATA_KEY = "__metadata__";
/** The bytes of the header's length, at the start of a file. */
export const LENGTH_BYTES = 8;

/** True for a whole number from 0 to 2^53 - 1. */
export function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}
