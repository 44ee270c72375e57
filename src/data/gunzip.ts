/**
 * Decompresses gzip with a limit on the output.
 *
 * @module
 */

import { FormatError } from "../errors.ts";

/**
 * Decompresses gzip up to `maxBytes` and stops there, so a small file cannot take all memory.
 *
 * @throws {FormatError} If the bytes are not gzip, or end too early.
 */
export async function gunzip(
  bytes: Uint8Array<ArrayBuffer>,
  { name, maxBytes }: { name: string; maxBytes: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    while (sizeBytes < maxBytes) {
      const { value, done } = await reader.read();
      if (done) break;
      chunks.push(value);
      sizeBytes += value.length;
    }
  } catch (error) {
    const current = `gzip stops making sense after ${sizeBytes} decompressed bytes (${
      (error as Error).message
    })`;
    throw new FormatError({ act: "decompress", thing: name, current, wanted: "a whole gzip file" });
  }
  reader.cancel().catch(() => undefined);
  const whole = new Uint8Array(Math.min(sizeBytes, maxBytes));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk.subarray(0, whole.length - offset), offset);
    offset += chunk.length;
  }
  return whole;
}
