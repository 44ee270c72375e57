/**
 * The configuration of a run: one schema, from which the flags, the help and the errors follow.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { describeIssue, findMisfit } from "./misfit.ts";
import { schema } from "./schema.ts";
import type { RunConfig } from "./types.ts";
import { upgradeConfig } from "./upgrade.ts";

export { describeConfig } from "./fields.ts";
export type { ConfigField } from "./fields.ts";
export type * from "./types.ts";

/** What winnow promises of the zod schemas that it exports. */
export interface Schema<Value> {
  /** Checks a value and fills in defaults; throws zod's error where the value does not fit. */
  parse(value: unknown): Value;
  /** Checks a value like `parse`, and returns the error instead of throwing it. */
  safeParse(value: unknown): { success: true; data: Value } | { success: false; error: Error };
}

/** The zod schema of a {@linkcode RunConfig}: unknown keys are refused, absent ones get their default. */
export const runConfigSchema: Schema<RunConfig> = {
  parse: (value) => schema.parse(upgradeConfig(value)),
  safeParse: (value) => schema.safeParse(upgradeConfig(value)),
};

/**
 * Checks a configuration and fills in the defaults.
 *
 * @param value what was read, such as parsed JSON
 * @param source where it was read, for errors: a file's path or "the command line", or what says so of a key's path
 * @throws {ConfigError} naming the key by its path, its value and what is expected
 *
 * @example
 * ```ts
 * import { parseRunConfig } from "./config.ts";
 *
 * parseRunConfig({ prune: { goal: { sparsity: 0.8 } } }, "an example").train.epochs; // 12
 * ```
 */
export function parseRunConfig(value: unknown, source: string | ((path: string) => string)): RunConfig {
  const upgraded = upgradeConfig(value), result = schema.safeParse(upgraded);
  if (result.success) return result.data;
  const { thing, current, wanted } = findMisfit(upgraded) ?? describeIssue(result.error.issues[0], upgraded);
  const from = typeof source === "string" ? source : source(thing);
  throw new ConfigError({ act: "use", thing, current: `${current} from ${from}`, wanted });
}
