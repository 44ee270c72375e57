/**
 * What a prune run is told: by flags, by the file that `--config` names, which may be the report of an earlier run, and by
 * a checkpoint.
 *
 * @module
 */
import { z } from "zod";
import {
  checkValidationIsRead,
  describeConfig,
  goalKeys,
  parsePruneConfig,
  type PruneConfig,
  renameOld,
} from "../config.ts";
import { ConfigError, FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import { type GpuIdentity, gpuIdentitySchema } from "../gpu/identity.ts";
import { maxJsonBytes, parseJson } from "../json.ts";
import type { ParsedFlags } from "./flags.ts";
import { note } from "./print.ts";

/** What of a report says how to run again. Reports of before hold no cores. */
const reportSchema = z.object({
  version: z.literal(1),
  adapter: z.string(),
  gpu: gpuIdentitySchema.exactOptional(),
  cores: z.record(z.string(), z.string()).exactOptional(),
  cells: z.array(z.looseObject({})).exactOptional(),
  lists: z.record(z.string(), z.array(z.union([z.string(), z.number()]))).exactOptional(),
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

/** Reads a JSON file of configuration keys, or a report with a configuration in it. */
export async function readConfigFile(
  path: string,
  files: Files,
): Promise<{ readonly config: unknown; readonly earlier?: EarlierRun }> {
  const bytes = await files.read(path, { maxBytes: maxJsonBytes });
  const value = renameOld(parseJson(bytes, { act: "read", thing: path, wanted: "JSON" }));
  // No configuration has such a key.
  if (typeof value !== "object" || value === null || !("config" in value)) return { config: value };
  const { success, data, error } = reportSchema.safeParse(value);
  if (success) return { config: data.config, earlier: data };
  const { path: keys, message } = error.issues[0], current = `${keys.join(".")}: ${message}`;
  throw new FormatError({
    act: "read report",
    thing: path,
    current,
    wanted: "a report as prune, compare or sensitivity writes it",
  });
}

/** Reads what the report that `--config` names says of its run; undefined where it names none. */
export async function readEarlierRun(
  { values: { config } }: ParsedFlags,
  files: Files,
): Promise<EarlierRun | undefined> {
  return config === undefined ? undefined : (await readConfigFile(String(config), files)).earlier;
}

/**
 * What a file sets, without where to write to and over what: only the command line says that, so that no file of others
 * has anything written over.
 *
 * @param given What the command line sets.
 * @param hear Hears of what is left out, and not set there.
 */
export function withoutOutput(
  { out, force, ...stored }: Readonly<Record<string, unknown>>,
  { path, given, hear }: {
    readonly path: string;
    readonly given: ParsedFlags["values"];
    readonly hear: (line: string) => void;
  },
): Readonly<Record<string, unknown>> {
  const left = [
    ...(out === undefined || given.out !== undefined ? [] : [`out (${out})`]),
    ...(force === true && given.force === undefined ? ["force"] : []),
  ];
  if (left.length > 0) hear(`ignored in ${path}: ${left.join(" and ")}, which only flags set`);
  return stored;
}

/**
 * Joins flags, the file that `--config` names and the defaults, or what a run that goes on was told.
 *
 * @throws {ConfigError} where a flag or a key of the file is not allowed
 * @throws {FileError} where the file cannot be read
 * @throws {FormatError} where the file is no JSON
 */
export async function resolvePruneConfig(
  { values }: ParsedFlags,
  files: Files,
  { resumed, hear = note }: {
    /** What the run was told that goes on. */
    readonly resumed?: PruneConfig | undefined;
    /** Hears of what the file sets and a file may not; standard error where left out. */
    readonly hear?: (line: string) => void;
  } = {},
): Promise<PruneConfig> {
  if (values.resume !== undefined) refuseOutput(values);
  const keys = new Set(describeConfig().map(({ key }) => key));
  const given = Object.fromEntries(Object.entries(values).filter(([key]) => keys.has(key)));
  // A goal on the command line replaces the stored goal, whichever it is.
  const goals: readonly string[] = goalKeys, replaced = goals.some((key) => given[key] !== undefined);
  const join = (stored: object) => {
    const kept = Object.entries(stored).filter(([key]) => !replaced || !goals.includes(key));
    return { ...Object.fromEntries(kept), ...given };
  };
  if (resumed && values.config === undefined) {
    return parsePruneConfig(join(resumed), "the checkpoint and the command line");
  }
  const parse = (value: unknown, source: string) => {
    const config = parsePruneConfig(value, source);
    checkValidationIsRead(config, source);
    return config;
  };
  if (values.config === undefined) return parse(given, "the command line");
  const path = String(values.config);
  const { config: stored, earlier } = await readConfigFile(path, files);
  parsePruneConfig(stored, path);
  const source = `${path} and the command line`;
  const joined = join(
    withoutOutput(stored as Readonly<Record<string, unknown>>, { path, given: values, hear }),
  );
  return earlier ? parsePruneConfig(joined, source) : parse(joined, source);
}

/** Refuses flags that would do nothing where a run goes on: it writes to the folder that it was started with. */
function refuseOutput(values: ParsedFlags["values"]): void {
  const flag = ["out", "force"].find((key) => values[key] !== undefined);
  if (flag === undefined) return;
  const current = "it is there beside --resume", wanted = "one of them: a run goes on in its folder";
  throw new ConfigError({ act: "use", thing: `--${flag}`, current, wanted });
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
