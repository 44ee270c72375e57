/**
 * What a run is told: by flags, by the file that `--config` names, which may be the report of an earlier run, and by a
 * checkpoint.
 *
 * @module
 */
import { z } from "zod";
import { parseRunConfig, type RunConfig } from "../config/config.ts";
import { joinKeys, type Keys, keysAt, valuesByPath } from "../config/nodes.ts";
import { upgradeConfig, upgradeReport } from "../config/upgrade.ts";
import { keysOfFlags, nameSource } from "../config/words.ts";
import { ConfigError, FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import { type GpuIdentity, gpuIdentitySchema } from "../gpu/identity.ts";
import { maxJsonBytes, parseJson } from "../json.ts";
import { describeRefusal } from "../schema_words.ts";
import { isAmong, type ParsedFlags } from "./flags.ts";
import { note } from "./print.ts";

/** What of a report says how to run again. Reports of before hold no cores. */
const reportSchema = z.object({
  version: z.literal(3),
  adapter: z.string(),
  gpu: gpuIdentitySchema.exactOptional(),
  cores: z.record(z.string(), z.string()).exactOptional(),
  cells: z.array(z.looseObject({})).exactOptional(),
  lists: z.record(z.string(), z.array(z.union([z.string(), z.number()]))).exactOptional(),
  ownCriteria: z.record(z.string(), z.string()).exactOptional(),
  config: z.record(z.string(), z.unknown()),
});

/** What the report of an earlier run says beside its configuration. */
export interface EarlierRun {
  /** Name of the adapter that it ran on. */
  readonly adapter: string;
  /** What else identifies the device; absent in older reports. */
  readonly gpu?: GpuIdentity;
  /** How it computed its products; absent in older reports. */
  readonly cores?: Readonly<Record<string, string>>;
  /** What a comparison found, by keys such as `sparsity`; absent in reports of other runs. */
  readonly cells?: readonly Readonly<Record<string, unknown>>[];
  /** The lists that a comparison was told, by their keys; absent in older reports. */
  readonly lists?: Readonly<Record<string, readonly (string | number)[]>>;
}

/**
 * Reads a JSON file of configuration keys, or a report with a configuration in it.
 *
 * @throws {ConfigError} If the report's run scored by a criterion of its caller's own, which no command has.
 * @throws {FormatError} If the file is no JSON, or no such report.
 */
export async function readConfigFile(
  path: string,
  files: Files,
): Promise<{ readonly config: unknown; readonly earlier?: EarlierRun }> {
  const bytes = await files.read(path, { maxBytes: maxJsonBytes });
  const value = upgradeReport(parseJson(bytes, { act: "read", thing: path, wanted: "JSON" }));
  // No configuration has such a key.
  if (typeof value !== "object" || value === null || !("config" in value)) {
    return { config: upgradeConfig(value) };
  }
  const { success, data, error } = reportSchema.safeParse(value);
  if (success) {
    const [own] = Object.keys(data.ownCriteria ?? {});
    if (own === undefined) return { config: data.config, earlier: data };
    const current = `it scored by "${own}", a criterion that a program defined`;
    throw new ConfigError({
      act: "repeat",
      thing: path,
      current,
      wanted: "that program, which passes it to the run",
    });
  }
  const { at, current } = describeRefusal(reportSchema, value, error);
  throw new FormatError({
    act: "read report",
    thing: path,
    current: `${at}: ${current}`,
    wanted: "a report as prune, compare or sensitivity writes it",
  });
}

/**
 * What a file sets, without where to write to and over what: only the command line says that, so that no file of others
 * has anything written over.
 *
 * @param given What the command line sets.
 * @param hear Hears of what is left out, and not set there.
 */
function withoutOutput(
  stored: Keys,
  { path, given, hear }: {
    readonly path: string;
    readonly given: Keys;
    readonly hear: (line: string) => void;
  },
): Keys {
  const said = new Map(valuesByPath(stored)), own = new Map(valuesByPath(given));
  const folder = said.get("output.folder"), isForced = said.get("output.force") === true;
  const left = [
    ...(folder === undefined || own.has("output.folder") ? [] : [`output.folder (${folder})`]),
    ...(isForced && !own.has("output.force") ? ["output.force"] : []),
  ];
  if (left.length > 0) hear(`ignored in ${path}: ${left.join(" and ")}, which only flags set`);
  return joinKeys(stored, { output: { folder: undefined, force: undefined } });
}

/** The configuration that flags set, by the keys of their fields. @throws {ConfigError} Where one is not allowed. */
export function parseConfigFlags(values: ParsedFlags["values"]): RunConfig {
  return parseRunConfig(keysOfFlags(values), nameSource(values, "the command line"));
}

/** What a run is told. */
export interface ResolvedRun {
  readonly config: RunConfig;
  /** The run whose report `--config` names, where it names one. */
  readonly earlier?: EarlierRun;
}

/** What of a configuration a command reads, and from where. */
export interface RunSources {
  /** What the run was told that goes on. */
  readonly resumed?: RunConfig | undefined;
  /** Branches and keys that the command has not: of a report they are left out, in another file refused. */
  readonly without?: readonly string[];
  /** The command's own defaults. */
  readonly defaults?: Keys;
  /** Hears of what the file sets and a file may not. Default: standard error. */
  readonly hear?: (line: string) => void;
}

/**
 * Joins flags, the file that `--config` names and the defaults, or what a run that goes on was told. A goal, or another
 * branch, on the command line replaces the stored one.
 *
 * @throws {ConfigError} Where a flag or a key of the file is not allowed.
 * @throws {FileError} Where the file cannot be read.
 * @throws {FormatError} Where the file is no JSON.
 */
export async function resolveRun(
  { values }: ParsedFlags,
  files: Files,
  { resumed, without = [], defaults = {}, hear = note }: RunSources = {},
): Promise<ResolvedRun> {
  const given = keysOfFlags(values);
  const parse = (stored: object, source: string) =>
    parseRunConfig(joinKeys(stored, given), nameSource(values, source));
  if (values.config === undefined) {
    return { config: parse(resumed ?? defaults, `${resumed ? "the checkpoint and " : ""}the command line`) };
  }
  const path = String(values.config), { config: whole, earlier } = await readConfigFile(path, files);
  // Whatever is in the file must be right, read or not.
  parseRunConfig(whole, path);
  // Of a goal that a command has not, a pattern is read, to be refused.
  const isRead = ([key]: readonly [string, unknown]) =>
    !isAmong(without, key) || isAmong(["prune.goal.pattern"], key);
  const all = valuesByPath(whole), unread = all.find((entry) => !isRead(entry));
  if (!earlier && unread) {
    const current = `a key that this command has not, in ${path}`, wanted = "keys that --help all lists";
    throw new ConfigError({ act: "use", thing: unread[0], current, wanted });
  }
  const read = all.filter(isRead).map(([key, value]) => keysAt(key, value));
  const stored = read.reduce((keys, one) => joinKeys(keys, one, null), {});
  const joined = joinKeys(defaults, withoutOutput(stored, { path, given, hear }));
  return { config: parse(joined, `${path} and the command line`), ...(earlier ? { earlier } : {}) };
}

/**
 * Refuses `--selection obs` where it does nothing: only layers that lost weights before choose by it which go.
 *
 * @param options How often a network loses weights at most, and what it starts from.
 * @throws {ConfigError} Where a whole network loses weights once.
 */
export function checkSelectionActs(
  { values: { selection } }: ParsedFlags,
  { removals, weights }: {
    readonly removals: number;
    readonly weights?: { readonly masks: ReadonlyMap<string, Float32Array> } | undefined;
  },
): void {
  const isPruned = weights?.masks.values().some((mask) => mask.includes(0)) ?? false;
  if (selection !== "obs" || removals > 1 || isPruned) return;
  const current = '"obs", by which layers choose that lost weights before';
  throw new ConfigError({
    act: "use",
    thing: "--selection",
    current,
    wanted: '"score" where a whole network loses weights once',
  });
}
