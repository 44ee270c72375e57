/**
 * The flags of commands that compare: those of a prune run that say how to train and score, and lists.
 *
 * @module
 */
import { type ConfigField, describeConfig, parsePruneConfig, type PruneConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import type { Files } from "../files.ts";
import { type EarlierRun, readConfigFile, withoutOutput } from "./run_config.ts";
import type { FlagField, ParsedFlags } from "./flags.ts";
import { note } from "./print.ts";

/** Keys of a prune run's loop and output, which a comparison has not. */
const loopKeys: ReadonlySet<string> = new Set([
  ...["sparsity", "confidence", "targetParameters", "targetMultiplyAdds", "targetBytes"],
  ...["pruneSchedule", "rounds", "allowedDrop", "regrow", "compare", "distill", "temperature"],
  ...["distillFeatures", "distillMaps", "compact", "store", "checkpointEvery"],
]);

/** The fields of a prune run's configuration that a comparison has too, with defaults of its own. */
export function sharedFields(
  without: readonly (keyof PruneConfig)[],
  defaults: Readonly<Partial<Record<keyof PruneConfig, ConfigField["default"]>>>,
): readonly ConfigField[] {
  return describeConfig()
    .filter(({ key }) => !loopKeys.has(key) && !(without as readonly string[]).includes(key))
    .map((field) =>
      Object.hasOwn(defaults, field.key)
        ? { ...field, default: defaults[field.key as keyof PruneConfig] }
        : field
    );
}

/** What the cells of a report call one value of a list. */
const cellKeys = { variants: "variant", sparsities: "sparsity", seeds: "seed" } as const;

/** The flag of a list that commands that compare take. */
export interface ListField extends FlagField {
  readonly key: keyof typeof cellKeys;
}

/** What a comparison is told. */
export interface ToldComparison {
  readonly config: PruneConfig;
  /** The run whose report `--config` names, where it names one. */
  readonly earlier?: EarlierRun;
}

/**
 * Joins flags, the file that `--config` names and the defaults. Of a report, keys that a comparison has not are left out;
 * of any file where to write to.
 *
 * @param hear Hears of that; standard error where left out.
 * @throws {ConfigError} Where a value is not allowed, or the file has a key that a comparison has not.
 * @throws {FileError} Where the file cannot be read.
 * @throws {FormatError} Where the file is no JSON.
 */
export async function resolveComparison(
  { values }: ParsedFlags,
  shared: readonly ConfigField[],
  files: Files,
  hear: (line: string) => void = note,
): Promise<ToldComparison> {
  const parse = (stored: Readonly<Record<string, unknown>>, source: string) => {
    const presets = new Map(describeConfig().map((field) => [field.key, field.default]));
    const given = shared.flatMap(({ key, default: preset }) => {
      const value = values[key] ?? stored[key] ?? (preset === presets.get(key) ? undefined : preset);
      return value === undefined ? [] : [[key, value]];
    });
    return parsePruneConfig(Object.fromEntries(given), source);
  };
  if (values.config === undefined) return { config: parse({}, "the command line") };
  const path = String(values.config), { config, earlier } = await readConfigFile(path, files);
  // Whatever is in the file must be right, read or not.
  parsePruneConfig(config, path);
  const stored = config as Readonly<Record<string, unknown>>;
  const unread = Object.keys(stored).find((key) => !shared.some((field) => field.key === key));
  if (!earlier && unread !== undefined) {
    const current = `a key that this command has not, in ${path}`, wanted = "keys that --help lists";
    throw new ConfigError({ act: "use", thing: unread, current, wanted });
  }
  const source = `${path} and the command line`;
  return {
    config: parse(withoutOutput(stored, { path, given: values, hear }), source),
    ...(earlier ? { earlier } : {}),
  };
}

/** A list as it was given, as the report that `--config` names has it, or as it is by default. */
export function listText(
  { key, default: preset }: ListField,
  { values }: ParsedFlags,
  earlier?: EarlierRun,
): string {
  const cellKey = cellKeys[key];
  const found = new Set([
    ...earlier?.lists?.[key] ?? [],
    ...earlier?.cells?.map((cell) => cell[cellKey]).filter((value) => value !== undefined) ?? [],
  ]);
  return String(values[key] ?? (found.size > 0 ? [...found].join(",") : preset));
}

/** A flag of a list. */
export function listField(key: ListField["key"], preset: string, description: string): ListField {
  return { key, flag: key, kind: "text", default: preset, description, wanted: "values, joined by commas" };
}

/** Reads a list of names. @throws {ConfigError} Where one is empty or stands twice. */
export function readList(flag: string, text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.every((name) => name !== "") && new Set(names).size === names.length) return names;
  const wanted = "values, joined by commas, none of them empty or twice";
  throw new ConfigError({ act: "use", thing: `--${flag}`, current: `"${text}"`, wanted });
}

/** Reads a list of numbers in a range. @throws {ConfigError} Where one is none, or stands twice. */
export function readNumbers(
  flag: string,
  text: string,
  { fits, wanted }: { readonly fits: (number: number) => boolean; readonly wanted: string },
): readonly number[] {
  return readList(flag, text).map((part) => {
    const number = Number(part);
    if (fits(number)) return number;
    throw new ConfigError({ act: "use", thing: `--${flag}`, current: `"${part}"`, wanted });
  });
}

/** Sparsities. */
export const sparsityRange = {
  fits: (number: number): boolean => number >= 0 && number < 1,
  wanted: "fractions in [0, 1), joined by commas",
};
