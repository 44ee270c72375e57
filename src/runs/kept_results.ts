/**
 * What a comparison keeps in its output folder, so that it goes on where it was stopped: its report and its trained networks.
 *
 * @module
 */
import type { Schema } from "../config/config.ts";
import { upgradeReport } from "../config/upgrade.ts";
import { FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import { maxJsonBytes, parseJson } from "../json.ts";

/**
 * Reads what an earlier run found; undefined where there was none.
 *
 * @throws {FormatError} Where it is no such report.
 */
export async function readBefore<Report>(
  path: string,
  { files, schema }: { readonly files: Files; readonly schema: Schema<Report> },
): Promise<Report | undefined> {
  if (await files.sizeBytes(path) === undefined) return undefined;
  const wanted = "the report of such a run", act = "go on from", thing = path;
  const bytes = await files.read(path, { maxBytes: maxJsonBytes });
  const value = upgradeReport(parseJson(bytes, { act, thing, wanted }));
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new FormatError({ act, thing, current: "it is another file", wanted });
  // With its keys in their order, so that the file that is written on has the bytes of one that was written at once.
  return value as Report;
}

/**
 * Makes a file, or reads it where an earlier run made it.
 *
 * @param options.note Hears that it was read.
 * @throws {FileError} Where it cannot be read or written.
 */
export async function keepFile(
  path: string,
  make: () => Promise<Uint8Array>,
  { files, note }: { readonly files: Files; readonly note: (line: string) => void },
): Promise<Uint8Array> {
  if (await files.sizeBytes(path) !== undefined) {
    note(`taking ${path}, which an earlier run made`);
    return await files.read(path);
  }
  const bytes = await make();
  await files.write(path, bytes);
  return bytes;
}
