/**
 * Tensors in safetensors files: 8 bytes with the header's length (little-endian), a JSON header, then the data.
 * Source: https://github.com/huggingface/safetensors, "Format".
 *
 * @module
 */

import { FormatError } from "../errors.ts";
import { recognizeFileKind } from "../file_kinds.ts";
import { findJsonFault } from "../json_keys.ts";
import { DTYPE_BYTES, isSize, LENGTH_BYTES, METADATA_KEY } from "./safetensors_format.ts";

export { parameterFloats, tensorFloats, tensorIntegers } from "./safetensors_values.ts";
export { type NewTensor, writeSafetensors } from "./safetensors_write.ts";

const MAX_HEADER_BYTES = 100_000_000;

/** One tensor of a file. */
export interface StoredTensor {
  /** The element type, such as `F32`. */
  readonly dtype: string;
  /** Size of each dimension; empty for a scalar. */
  readonly shape: readonly number[];
  /** The elements, little-endian, last dimension fastest: a view of the file's bytes, at any alignment. */
  readonly bytes: Uint8Array;
}

/** The content of a file. */
export interface Safetensors {
  /** The tensors by name, in the order of the data. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The free text of `__metadata__`, without prototype; empty if there is none. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads a whole file. Nothing is copied.
 *
 * @param name the file's name, for errors.
 * @throws {FormatError} If the length, the header, a tensor's type, shape or offsets are wrong, where tensors overlap
 * or leave holes, if bytes are left over, or if a key is repeated; a file of another kind is named for what it is.
 */
export function readSafetensors(bytes: Uint8Array, name: string): Safetensors {
  const { header, dataStart } = readHeader(bytes, name);
  const dataBytes = bytes.length - dataStart;
  const entries = [...header].filter(([key]) => key !== METADATA_KEY)
    .map(([key, value]) => ({ key, ...readEntry(value, { thing: name, key, dataBytes }) }))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  let expected = 0;
  for (const { key, begin, end } of entries) {
    if (begin !== expected) {
      const current = `tensor ${quote(key)} starts at byte ${dataStart + begin}, ` +
        (begin < expected ? "inside the one before it" : "after a hole");
      throw new FormatError({ act: "read", thing: name, current, wanted: `byte ${dataStart + expected}` });
    }
    expected = end;
  }
  if (expected !== dataBytes) {
    const current = `${dataBytes - expected} bytes belong to no tensor from byte ${dataStart + expected} on`;
    throw new FormatError({ act: "read", thing: name, current, wanted: "the end of the file there" });
  }
  const tensors = new Map(entries.map(({ key, dtype, shape, begin, end }) => [
    key,
    { dtype, shape, bytes: bytes.subarray(dataStart + begin, dataStart + end) },
  ]));
  return { tensors, metadata: readMetadata(header.get(METADATA_KEY), name) };
}

function readHeader(bytes: Uint8Array, thing: string): { header: Map<string, unknown>; dataStart: number } {
  const refuse = (current: string, wanted: string): never => {
    throw new FormatError({ act: "read", thing, current, wanted });
  };
  // A damaged safetensors file still starts like one, and is said to be damaged.
  const kind = recognizeFileKind(bytes);
  if (kind && kind.name !== "a safetensors file") {
    refuse(`it is ${kind.name}`, `safetensors, or ${kind.instead}`);
  }
  if (bytes.length < LENGTH_BYTES) {
    refuse(`it ends at byte ${bytes.length}`, `${LENGTH_BYTES} bytes with the header's length at byte 0`);
  }
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const maxBytes = Math.min(MAX_HEADER_BYTES, bytes.length - LENGTH_BYTES);
  if (length > maxBytes) {
    const reason = maxBytes === MAX_HEADER_BYTES
      ? "the largest allowed"
      : `all of a file of ${bytes.length} bytes`;
    refuse(`a header of ${length} bytes by the length at byte 0`, `at most ${maxBytes} bytes, ${reason}`);
  }
  const dataStart = LENGTH_BYTES + length;
  let text = "", json: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(LENGTH_BYTES, dataStart),
    );
  } catch {
    refuse(`the ${length} bytes from byte ${LENGTH_BYTES} on are not UTF-8`, "a JSON object in UTF-8");
  }
  try {
    json = JSON.parse(text);
  } catch (error) {
    refuse(`the header at byte ${LENGTH_BYTES} is not JSON (${(error as Error).message})`, "a JSON object");
  }
  if (!isObject(json) || !text.startsWith("{")) {
    return refuse(
      `the header at byte ${LENGTH_BYTES} starts with ${quote(text.slice(0, 8))}`,
      "a JSON object",
    );
  }
  const fault = findJsonFault(text);
  if (fault) {
    const at = LENGTH_BYTES + new TextEncoder().encode(text.slice(0, fault.index)).length;
    refuse(`${fault.current} at byte ${at}`, fault.wanted);
  }
  return { header: new Map(Object.entries(json)), dataStart };
}

/** Reads one tensor's line of the header; begin and end are bytes of the data. */
function readEntry(
  value: unknown,
  { thing, key, dataBytes }: { thing: string; key: string; dataBytes: number },
) {
  const refuse = (current: string, wanted: string): never => {
    const where = `tensor ${quote(key)} of the header at byte ${LENGTH_BYTES} has ${current}`;
    throw new FormatError({ act: "read", thing, current: where, wanted });
  };
  // A map has only the keys of the file; an object would also have its prototype's.
  const fields = new Map(isObject(value) ? Object.entries(value) : []);
  if (!isObject(value)) {
    return refuse(`the value ${quote(value)}`, "an object with dtype, shape and data_offsets");
  }
  const dtype = fields.get("dtype"), shape = fields.get("shape"), offsets = fields.get("data_offsets");
  const elementBytes = typeof dtype === "string" ? DTYPE_BYTES.get(dtype) : undefined;
  if (typeof dtype !== "string" || elementBytes === undefined) {
    return refuse(`dtype ${quote(dtype)}`, `one of ${[...DTYPE_BYTES.keys()].join(", ")}`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    return refuse(`shape ${quote(shape)}`, "a list of whole numbers, at least 0 and below 2^53");
  }
  let sizeBytes = elementBytes;
  for (const size of shape) {
    sizeBytes *= size;
    if (!isSize(sizeBytes)) refuse(`shape ${quote(shape)}`, "a size in bytes below 2^53");
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    return refuse(`data_offsets ${quote(offsets)}`, "two whole numbers, at least 0 and below 2^53");
  }
  const [begin, end] = offsets;
  if (begin > end || end > dataBytes) {
    refuse(`data_offsets ${quote(offsets)}`, `an ascending range within the data's ${dataBytes} bytes`);
  }
  if (end - begin !== sizeBytes) {
    const wanted = `${sizeBytes} bytes for ${dtype} (${shape.join(", ")})`;
    refuse(`data_offsets ${quote(offsets)}, ${end - begin} bytes`, wanted);
  }
  return { dtype, shape: shape as readonly number[], begin: begin as number, end: end as number };
}

function readMetadata(value: unknown, thing: string): Readonly<Record<string, string>> {
  const metadata: Record<string, string> = Object.create(null);
  if (value === undefined) return metadata;
  const entries = isObject(value) ? Object.entries(value) : undefined;
  const wrong = entries?.find(([, text]) => typeof text !== "string");
  if (entries === undefined || wrong) {
    const current = `${METADATA_KEY} of the header at byte ${LENGTH_BYTES} has ${quote(wrong ?? value)}`;
    throw new FormatError({ act: "read", thing, current, wanted: "an object of strings" });
  }
  for (const [key, text] of entries) metadata[key] = text as string;
  return metadata;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** JSON of a value, cut to what fits an error line. */
function quote(value: unknown): string {
  let json: string;
  try {
    json = JSON.stringify(value) ?? "nothing";
  } catch {
    return "a value nested too deeply to print";
  }
  return json.length > 80 ? `${json.slice(0, 77)}...` : json;
}
