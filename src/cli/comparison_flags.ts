/**
 * The flags of commands that compare: those of a prune run that say how to train and score, and lists.
 *
 * @module
 */
import { type ConfigField, describeConfig, parsePruneConfig, type PruneConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import type { FlagField, ParsedFlags } from "./flags.ts";

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

/**
 * The configuration that flags give.
 *
 * @throws {ConfigError} Where a value is not allowed.
 */
export function comparedConfig({ values }: ParsedFlags, shared: readonly ConfigField[]): PruneConfig {
  const presets = new Map(describeConfig().map((field) => [field.key, field.default]));
  const given = shared.flatMap(({ key, default: preset }) => {
    const value = values[key] ?? (preset === presets.get(key) ? undefined : preset);
    return value === undefined ? [] : [[key, value]];
  });
  return parsePruneConfig(Object.fromEntries(given), "the command line");
}

/** A flag of a list. */
export function listField(key: string, preset: string, description: string): FlagField {
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
