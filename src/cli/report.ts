/**
 * `deno task report RUN`: makes the page that shows what a run found, out of the files of its folder.
 *
 * @module
 */
import type { Schema } from "../config/config.ts";
import { denoFiles } from "../deno/files.ts";
import { resolveLatest } from "../deno/latest_run.ts";
import { OutputFolder } from "../deno/output_folder.ts";
import { ConfigError, FormatError } from "../errors.ts";
import { maxJsonBytes, parseJson } from "../json.ts";
import type { RunResult } from "../page/run_page.tsx";
import { pruneReportSchema, runTimesSchema } from "../report/prune_report.ts";
import { runCommand } from "./command.ts";
import { type FlagField, formatHelp, parseFlags } from "./flags.ts";
import { note, print } from "./print.ts";
import { shellText } from "../text/escape.ts";

const usage = "./winnow report FOLDER   (or: deno task report FOLDER)";
const summary =
  "Makes FOLDER/report.html anew, the page that shows what a prune run found, out of the report.json and times.json that " +
  "the run wrote to FOLDER. The page opens offline. ./winnow prune makes it too.";

/** Its flags. */
export const fields: readonly FlagField[] = [];

/** The page's name in the folder of a run. */
const pageName = "report.html";

/**
 * Writes the page of a run to the run's folder. If the packages that draw it cannot be fetched, it says so, and leaves no
 * page of an earlier run.
 *
 * @returns Its path, or undefined if it was not written.
 * @throws {FileError} If it cannot be written.
 */
export async function writeRunPage(output: OutputFolder, result: RunResult): Promise<string | undefined> {
  const path = `${output.path}/${pageName}`;
  // Charts take half a second to load, which no other command needs.
  const page = await import("../page/run_page.tsx").catch((error: Error) => error);
  if (page instanceof Error) {
    await output.leaveOut([pageName]);
    note(`no page is written: ${page.message}; ./winnow report ${shellText(output.path)} makes it`);
    return undefined;
  }
  await denoFiles.write(path, new TextEncoder().encode(page.formatRunPage(result)));
  return path;
}

/**
 * Reads what a run wrote to its folder.
 *
 * @throws {FileError} If there is no report.
 * @throws {FormatError} If a file is no report of a prune run, or holds no such times.
 */
async function readRunResult(folder: string): Promise<RunResult> {
  const reportPath = `${folder}/report.json`, timesPath = `${folder}/times.json`;
  const report = await readJson(reportPath, pruneReportSchema, "a report as prune writes it");
  const hasTimes = await denoFiles.sizeBytes(timesPath) !== undefined;
  const times = hasTimes
    ? await readJson(timesPath, runTimesSchema, "times as prune writes them")
    : undefined;
  return { report, times };
}

async function readJson<Value>(path: string, schema: Schema<Value>, wanted: string): Promise<Value> {
  const bytes = await denoFiles.read(path, { maxBytes: maxJsonBytes });
  const parsed = schema.safeParse(parseJson(bytes, { act: "read", thing: path, wanted }));
  if (parsed.success) return parsed.data;
  throw new FormatError({ act: "read", thing: path, current: "it is another file", wanted });
}

async function main(): Promise<number> {
  const { help, positionals } = parseFlags(Deno.args, fields, { positionals: true });
  if (help) {
    print(formatHelp({ usage, summary, fields }));
    return 0;
  }
  const [named, ...others] = positionals;
  if (named === undefined || others.length > 0) {
    const current = named === undefined ? "nothing was named" : positionals.join(" ");
    throw new ConfigError({ act: "report on", thing: "run", current, wanted: "the folder of a run" });
  }
  const folder = await resolveLatest(named), result = await readRunResult(folder);
  await using output = await OutputFolder.open(folder, "go on");
  const path = await writeRunPage(output, result);
  if (path !== undefined) print(`Written: ${path}`);
  return path === undefined ? 1 : 0;
}

if (import.meta.main) await runCommand(main);
