/**
 * Writing safetensors files.
 *
 * @module
 */

import { FormatError, ShapeError } from "../errors.ts";
import { DTYPE_BYTES, isSize, LENGTH_BYTES, METADATA_KEY } from "./safetensors_format.ts";

const DTYPES: readonly string[] = [...DTYPE_BYTES.keys()];

/** A tensor to be written. Bools are bytes 0 and 1. */
export type NewTensor =
  & { readonly name: string; readonly shape: readonly number[] }
  & (
    | { readonly dtype: "F32"; readonly values: Float32Array }
    | { readonly dtype: "I32"; readonly values: Int32Array }
    | { readonly dtype: "U8" | "BOOL"; readonly values: Uint8Array }
  );

/**
 * Writes a whole file. The same tensors and metadata give the same bytes, in whatever order they come: the data is
 * ordered by type, largest first, then by name, as the reference implementation does, so every tensor is aligned.
 *
 * @throws {ShapeError} If values (shape[0] * shape[1] * ...) are more or fewer than the shape says.
 * @throws {FormatError} If a name is there twice, is `__metadata__` or not well-formed text, or a bool is not 0 or 1.
 */
export function writeSafetensors(
  tensors: readonly NewTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  checkNewTensors(tensors, metadata);
  const ordered = tensors.map((tensor) => ({ ...tensor, key: new TextEncoder().encode(tensor.name) }))
    .sort((a, b) => DTYPES.indexOf(b.dtype) - DTYPES.indexOf(a.dtype) || compareBytes(a.key, b.key));
  const fields: string[] = [];
  const texts = Object.entries(metadata).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, text]) => `${JSON.stringify(key)}:${JSON.stringify(text)}`);
  if (texts.length > 0) fields.push(`"${METADATA_KEY}":{${texts.join(",")}}`);
  let dataBytes = 0;
  for (const { name, dtype, shape, values } of ordered) {
    const entry = { dtype, shape, "data_offsets": [dataBytes, dataBytes + values.byteLength] };
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    dataBytes += values.byteLength;
  }
  const header = new TextEncoder().encode(`{${fields.join(",")}}`);
  const headerBytes = Math.ceil(header.length / 8) * 8;
  const file = new Uint8Array(LENGTH_BYTES + headerBytes + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, LENGTH_BYTES, LENGTH_BYTES + headerBytes).set(header, LENGTH_BYTES);
  let offset = LENGTH_BYTES + headerBytes;
  for (const { values } of ordered) {
    file.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), offset);
    offset += values.byteLength;
  }
  return file;
}

function checkNewTensors(tensors: readonly NewTensor[], metadata: Readonly<Record<string, string>>): void {
  const act = "write tensor", names = new Set<string>();
  for (const { name, dtype, shape, values } of tensors) {
    if (names.has(name) || name === METADATA_KEY) {
      const current = names.has(name) ? "the name is there twice" : "the name is reserved";
      throw new FormatError({ act, thing: name, current, wanted: "every name once" });
    }
    names.add(name);
    const count = shape.reduce((product, size) => product * size, 1);
    if (count !== values.length || !shape.every(isSize)) {
      const current = `${values.length} values`;
      throw new ShapeError({ act, thing: name, current, wanted: `${count} for shape (${shape.join(", ")})` });
    }
    if (dtype === "BOOL" && values.some((value) => value > 1)) {
      throw new FormatError({ act, thing: name, current: "a BOOL above 1", wanted: "0 or 1" });
    }
  }
  for (const text of [...names, ...Object.entries(metadata).flat()]) {
    if (!text.isWellFormed()) {
      const current = "half of a surrogate pair in a name or in the metadata";
      throw new FormatError({
        act: "write",
        thing: text.toWellFormed(),
        current,
        wanted: "text that UTF-8 can hold",
      });
    }
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
