/**
 * Checksums, which detect flipped bits.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { LENGTH_BYTES, METADATA_KEY } from "./safetensors_format.ts";

/** SHA-256 of bytes, as 64 hexadecimal digits. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  // Not every browser has Uint8Array.prototype.toHex.
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The key of a safetensors file's metadata under which the file's own checksum stands. */
export const checksumKey = "winnow.sha256";

/** The placeholder of the checksum while it is computed. */
export const checksumPlaceholder = "0".repeat(64);

/** The byte offsets of a safetensors file's checksum in its header; undefined if it has none. */
function findChecksum(file: Uint8Array): readonly [number, number] | undefined {
  const headerBytes = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  // Latin-1 keeps one character for each byte.
  const header = new TextDecoder("latin1").decode(file.subarray(LENGTH_BYTES, LENGTH_BYTES + headerBytes));
  const found = new RegExp(`"${checksumKey.replace(".", "\\.")}":"`).exec(header);
  if (!found) return undefined;
  const start = LENGTH_BYTES + found.index + found[0].length, end = start + checksumPlaceholder.length;
  return end <= file.length ? [start, end] : undefined;
}

/** The checksum of all of a file but the checksum itself. */
async function computeChecksum(file: Uint8Array, [start, end]: readonly [number, number]): Promise<string> {
  const kept = file.slice(start, end);
  file.set(new TextEncoder().encode(checksumPlaceholder), start);
  // The digest copies its input before it returns its promise.
  const sum = sha256(file);
  file.set(kept, start);
  return await sum;
}

/** Writes the checksum of a safetensors file into it. Its metadata must have the placeholder under `checksumKey`. */
export async function seal(file: Uint8Array): Promise<void> {
  const range = findChecksum(file)!;
  file.set(new TextEncoder().encode(await computeChecksum(file, range)), range[0]);
}

/**
 * A safetensors file with its checksum among its metadata.
 *
 * @param file A file without one that `writeSafetensors` made, with other metadata.
 */
export async function withSeal(file: Uint8Array): Promise<Uint8Array> {
  const dataStart = LENGTH_BYTES + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const text = new TextDecoder().decode(file.subarray(LENGTH_BYTES, dataStart)).trimEnd();
  const opening = `{"${METADATA_KEY}":{`;
  const header = new TextEncoder().encode(
    `${opening}"${checksumKey}":"${checksumPlaceholder}",${text.slice(opening.length)}`,
  );
  const headerBytes = Math.ceil(header.length / 8) * 8;
  const sealed = new Uint8Array(LENGTH_BYTES + headerBytes + file.length - dataStart);
  new DataView(sealed.buffer).setBigUint64(0, BigInt(headerBytes), true);
  sealed.fill(0x20, LENGTH_BYTES, LENGTH_BYTES + headerBytes).set(header, LENGTH_BYTES);
  sealed.set(file.subarray(dataStart), LENGTH_BYTES + headerBytes);
  await seal(sealed);
  return sealed;
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
  const range = findChecksum(file), wanted = "the file as it was written";
  if (!range) throw new FormatError({ act, thing: name, current: "it has no checksum", wanted });
  const stored = new TextDecoder("latin1").decode(file.subarray(...range)),
    found = await computeChecksum(file, range);
  if (stored === found) return;
  const current = `its checksum is ${found.slice(0, 12)}..., where it says ${stored.slice(0, 12)}...`;
  throw new FormatError({ act, thing: name, current, wanted });
}
