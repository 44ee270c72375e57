/**
 * The configuration of a prune run: one schema, from which the flags, the help and the errors follow.
 *
 * @module
 */
import { describeConfig } from "./config/describe.ts";
import { schema } from "./config/fields.ts";
import { renameOldKeys } from "./config/old_names.ts";
import type { PruneConfig } from "./config/prune_config.ts";
import { ConfigError } from "./errors.ts";
import { describeAlternatives } from "./nearest.ts";

export { describeConfig } from "./config/describe.ts";
export type { ConfigField } from "./config/describe.ts";
export type { PruneConfig } from "./config/prune_config.ts";
export { renameOld } from "./config/old_names.ts";
export { channelDefaults, isPattern, readGranularity, readNames } from "./config/pruning_fields.ts";
export type { GranularityText } from "./config/pruning_fields.ts";
export { goalKeys } from "./config/pruning_rules.ts";
export { readMilestones } from "./config/training_fields.ts";

/** What winnow promises of the zod schemas that it exports. */
export interface Schema<Value> {
  /** Checks a value and fills in defaults; throws zod's error where the value does not fit. */
  parse(value: unknown): Value;
  /** Checks a value like `parse`, and returns the error instead of throwing it. */
  safeParse(value: unknown): { success: true; data: Value } | { success: false; error: Error };
}

/** The zod schema of a {@linkcode PruneConfig}: unknown keys are refused, absent ones get their default. */
export const pruneConfigSchema: Schema<PruneConfig> = schema;

/** A value as an error shows it: JSON on one line, cut where it is long. */
function quoteValue(value: unknown): string {
  const text = typeof value === "number" || value === undefined ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/**
 * Checks a configuration and fills in the defaults.
 *
 * @param value what was read, such as parsed JSON
 * @param source where it was read, for errors: a file's path or "the command line"
 * @throws {ConfigError} naming the key, its value and what is expected
 *
 * @example
 * ```ts
 * import { parsePruneConfig } from "./config.ts";
 *
 * parsePruneConfig({ sparsity: 0.8 }, "an example").epochs; // 12
 * ```
 */
export function parsePruneConfig(value: unknown, source: string): PruneConfig {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const known = describeConfig();
  const refuse = (thing: string, current: string, wanted: string) =>
    new ConfigError({ act: "use", thing, current: `${current} from ${source}`, wanted });
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0]!;
    throw refuse(key, "an unknown key", describeAlternatives(key, known.map((field) => field.key)));
  }
  const field = known.find(({ key }) => key === issue.path[0]);
  if (field === undefined) throw refuse("config", quoteValue(value), "an object of keys and values");
  const found = (renameOldKeys(value) as Record<string, unknown>)[field.key];
  throw refuse(field.key, quoteValue(found), issue.code === "custom" ? issue.message : field.wanted);
}

/**
 * Refuses validation examples that a prune run would hold out and never look at. Comparisons always do.
 *
 * @param source where the configuration was read, for errors
 * @throws {ConfigError} Where nothing is chosen by them.
 */
export function checkValidationIsRead(
  { validation, allowedDrop, posteriorTemperature, epochs, finetuneEpochs }: PruneConfig,
  source: string,
): void {
  const choosesEpochs = Math.max(epochs, finetuneEpochs) > 1, choosesT = posteriorTemperature === "auto";
  if (validation === 0 || choosesEpochs || choosesT || allowedDrop !== undefined) return;
  const reads = "allowedDrop, posteriorTemperature auto, or more than one of epochs or finetuneEpochs";
  throw new ConfigError({
    act: "use",
    thing: "validation",
    current: `${validation} from ${source}`,
    wanted: `0 unless there is ${reads}, which read it`,
  });
}
