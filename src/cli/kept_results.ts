/**
 * What a comparison keeps in its output folder, so that it goes on where it was stopped: its report and its trained networks.
 *
 * @module
 */
import type { Schema } from "../config/config.ts";
import { upgradeReport } from "../config/version1.ts";
import { denoFiles } from "../deno/files.ts";
import { ConfigError, FileError, FormatError } from "../errors.ts";
import { maxJsonBytes, parseJson } from "../json.ts";
import { shellText } from "../text/escape.ts";
import type { ParsedFlags } from "./flags.ts";
import { resolveLatest } from "./output_folder.ts";
import { note } from "./print.ts";

/**
 * The flags of a comparison that goes on: what `--resume` names a folder with a report of is as if that report were given
 * to `--config`, and the folder to `--out`. Flags without `--resume` stay as they are.
 *
 * @param reportName The name of the report's file.
 * @throws {ConfigError} Where another flag says where to write to, or what to run.
 * @throws {FileError} Where the folder holds no such report.
 */
export async function resumeFlags(flags: ParsedFlags, reportName: string): Promise<ParsedFlags> {
  const { resume, ...values } = flags.values;
  if (resume === undefined) return flags;
  const other = [["output.folder", "out"], ["config", "config"]].find(([key]) => values[key] !== undefined)
    ?.[1];
  if (other !== undefined) {
    const current = "it is there beside --resume", wanted = "one of them: a run goes on in its folder";
    throw new ConfigError({ act: "use", thing: `--${other}`, current, wanted });
  }
  const folder = await resolveLatest(String(resume)), path = `${folder}/${reportName}`;
  if (await denoFiles.sizeBytes(path) === undefined) {
    const current = `it holds no ${reportName}`, wanted = "the folder of a run that was stopped";
    throw new FileError({ act: "resume", thing: folder, current, wanted });
  }
  return { ...flags, values: { ...values, "output.folder": folder, config: path } };
}

/**
 * Reads what an earlier run found; undefined where there was none.
 *
 * @throws {FormatError} Where it is no such report.
 */
export async function readBefore<Report>(path: string, schema: Schema<Report>): Promise<Report | undefined> {
  if (await denoFiles.sizeBytes(path) === undefined) return undefined;
  const wanted = "the report of such a run", act = "go on from", thing = path;
  const bytes = await denoFiles.read(path, { maxBytes: maxJsonBytes });
  const value = upgradeReport(parseJson(bytes, { act, thing, wanted }));
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new FormatError({ act, thing, current: "it is another file", wanted });
  // With its keys in their order, so that the file that is written on has the bytes of one that was written at once.
  return value as Report;
}

/** Makes a file in the output folder, or reads it where an earlier run made it. */
export async function keepIn(
  folder: string,
  name: string,
  make: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const path = `${folder}/${name}`;
  if (await denoFiles.sizeBytes(path) !== undefined) {
    note(`taking ${path}, which an earlier run made`);
    return await denoFiles.read(path);
  }
  const bytes = await make();
  await denoFiles.write(path, bytes);
  return bytes;
}

/** Says how to go on with a comparison that was stopped, where it found something. */
export async function adviseResume(command: string, folder: string): Promise<void> {
  const isThere = await denoFiles.sizeBytes(`${folder}/${command}.json`) !== undefined;
  note(
    isThere
      ? `what was found is kept; to go on: ./winnow ${command} --resume ${shellText(folder)}`
      : "nothing was found yet",
  );
}
