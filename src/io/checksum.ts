/**
 * Checksums: a short text that follows from bytes, so that a bit that flipped on a disk is noticed.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { LENGTH_BYTES } from "./safetensors_format.ts";

/** SHA-256 of bytes, as 64 hexadecimal digits. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)).toHex();
}

/** The key of a safetensors file's metadata under which the file's own checksum stands. */
export const checksumKey = "winnow.sha256";

/** What stands in the place of the checksum while it is taken. */
export const checksumPlaceholder = "0".repeat(64);

/** Where the checksum of a safetensors file stands in its header, as offsets of bytes; undefined if it has none. */
function placeOf(file: Uint8Array): readonly [number, number] | undefined {
  const headerBytes = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  // Latin-1 keeps one character for each byte.
  const header = new TextDecoder("latin1").decode(file.subarray(LENGTH_BYTES, LENGTH_BYTES + headerBytes));
  const found = new RegExp(`"${checksumKey.replace(".", "\\.")}":"`).exec(header);
  if (!found) return undefined;
  const start = LENGTH_BYTES + found.index + found[0].length, end = start + checksumPlaceholder.length;
  return end <= file.length ? [start, end] : undefined;
}

/** The checksum of all of a file but the checksum itself. */
async function sumOf(file: Uint8Array, [start, end]: readonly [number, number]): Promise<string> {
  const kept = file.slice(start, end);
  file.set(new TextEncoder().encode(checksumPlaceholder), start);
  // The digest copies its input before it returns its promise.
  const sum = sha256(file);
  file.set(kept, start);
  return await sum;
}

/** Puts the checksum of a safetensors file into it, whose metadata hold the placeholder under `checksumKey`. */
export async function seal(file: Uint8Array): Promise<void> {
  const place = placeOf(file)!;
  file.set(new TextEncoder().encode(await sumOf(file, place)), place[0]);
}

/**
 * Checks a safetensors file against the checksum in it.
 *
 * @param name The file's name, for messages.
 * @throws {FormatError} If it has none, or a bit differs from what was written.
 */
export async function checkSeal(
  file: Uint8Array,
  { act, name }: { act: string; name: string },
): Promise<void> {
  const place = placeOf(file), wanted = "the file as it was written";
  if (!place) throw new FormatError({ act, thing: name, current: "it has no checksum", wanted });
  const stored = new TextDecoder("latin1").decode(file.subarray(...place)), found = await sumOf(file, place);
  if (stored === found) return;
  const current = `its checksum is ${found.slice(0, 12)}..., where it says ${stored.slice(0, 12)}...`;
  throw new FormatError({ act, thing: name, current, wanted });
}
