/**
 * `--resume` of a command that compares: its flags, and what is said when it was stopped.
 *
 * @module
 */
import { denoFiles } from "../deno/files.ts";
import { resolveLatest } from "../deno/latest_run.ts";
import { ConfigError, FileError } from "../errors.ts";
import { shellText } from "../text/escape.ts";
import type { ParsedFlags } from "./flags.ts";
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

/** Says how to go on with a comparison that was stopped, where it found something. */
export async function adviseResume(command: string, folder: string): Promise<void> {
  const isThere = await denoFiles.sizeBytes(`${folder}/${command}.json`) !== undefined;
  note(
    isThere
      ? `what was found is kept; to go on: ./winnow ${command} --resume ${shellText(folder)}`
      : "nothing was found yet",
  );
}
