/**
 * The configuration of a run: one schema, from which the flags, the help and the errors follow.
 *
 * @module
 */
import type { z } from "zod";
import { ConfigError } from "../errors.ts";
import { describeAlternatives, nearestName } from "../nearest.ts";
import { type ConfigField, describeConfig, describeKinds, describeWanted } from "./fields.ts";
import {
  branchFor,
  isKeys,
  type Keys,
  listBranches,
  type Node,
  nodeAt,
  valueAt,
  valuesByPath,
} from "./nodes.ts";
import { schema } from "./schema.ts";
import type { tree } from "./tree.ts";
import { upgradeConfig } from "./version1.ts";

export { describeConfig } from "./fields.ts";
export type { ConfigField } from "./fields.ts";

/**
 * Everything that a run can be told, with what was left out filled in.
 *
 * @internal
 */
export type RunConfig = z.output<typeof schema>;

/**
 * What a run may be told: each key may be left out.
 *
 * @internal
 */
export type RunConfigInput = z.input<typeof tree>;

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
 * @param source where it was read, for errors: a file's path or "the command line"
 * @throws {ConfigError} naming the key by its path, its value and what is expected
 *
 * @example
 * ```ts
 * import { parseRunConfig } from "./config.ts";
 *
 * parseRunConfig({ prune: { goal: { sparsity: 0.8 } } }, "an example").train.epochs; // 12
 * ```
 */
export function parseRunConfig(value: unknown, source: string): RunConfig {
  const upgraded = upgradeConfig(value), result = schema.safeParse(upgraded);
  if (result.success) return result.data;
  const issue = sharpen(result.error.issues[0], upgraded);
  const { thing, current, wanted } = issue.code === "unrecognized_keys"
    ? describeUnknown(issue.path, issue.keys[0], upgraded)
    : describeIssue(issue, upgraded);
  throw new ConfigError({ act: "use", thing, current: `${current} from ${source}`, wanted });
}

type Issue = z.core.$ZodIssue;

/** Of a value that fits no branch of a union, what is wrong with it in the branch that it is nearest to. */
function sharpen(issue: Issue, value: unknown): Issue {
  if (issue.code !== "invalid_union") return issue;
  const node = nodeAt(value, issue.path), own = valueAt(value, issue.path);
  const branch = isKeys(own) ? branchFor(node, own) : undefined;
  const [inner] = branch ? issue.errors[listBranches(node).indexOf(branch)] ?? [] : [];
  return inner ? sharpen({ ...inner, path: [...issue.path, ...inner.path] }, value) : issue;
}

/** A value as an error shows it: JSON on one line, cut where it is long. */
function quoteValue(value: unknown): string {
  const text = typeof value === "number" ? String(value) : JSON.stringify(value) ?? "absent";
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function describeIssue({ code, message, path }: Issue, value: unknown) {
  const known = describeConfig(), keys = path.map(String);
  // Of a list, or a part that stands for one value, what is wanted is said of the whole.
  const depth =
    keys.findLastIndex((_, i) => known.some(({ key }) => key === keys.slice(0, i + 1).join("."))) + 1;
  const field = known.find(({ key }) => key === keys.slice(0, depth).join("."));
  const own = field?.kind === "numbers" || field?.kind === "texts" ? keys.slice(0, depth) : keys;
  const node = nodeAt(value, own), current = quoteValue(valueAt(value, own));
  const wanted = field?.key === own.join(".") ? field.wanted : node && describeWanted(node);
  return {
    thing: own.join(".") || "config",
    current,
    wanted: code === "custom" && path.length > 0 ? message : wanted ?? "an object of keys and values",
  };
}

/** Says of a key that is none, or none of its branch, what there is, or where it belongs. */
function describeUnknown(path: readonly PropertyKey[], key: string, value: unknown) {
  const at = (name: string) => [...path, name].join("."), thing = at(key);
  const node = nodeAt(value, path), own = valueAt(value, path) as Keys, all = listBranches(node);
  const homes = all.filter(({ properties }) => properties?.[key]), [home] = homes;
  if (!home) return { thing, current: "an unknown key", wanted: describeNearestKey(path, key, all) };
  const current = quoteValue(own[key]), branch = branchFor(node, own);
  // A branch that it is nearest to, but for what it lacks.
  const missing = homes.includes(branch!) && branch!.required?.find((name) => !Object.hasOwn(own, name));
  if (missing) {
    return { thing: at(missing), current: "absent", wanted: describeWanted(branch!.properties![missing]) };
  }
  const inner = homes.includes(branch!) ? findOfAnotherKind(thing, own[key]) : undefined;
  if (inner) return inner;
  const kind = Object.keys(home.properties!).find((name) =>
    all.every(({ properties }) => properties?.[name])
  );
  if (kind !== undefined) {
    const kinds = homes.flatMap(({ properties }) => describeKinds(properties![kind]));
    return { thing, current, wanted: `none unless ${at(kind)} is ${kinds.join(" or ")}` };
  }
  const others = Object.keys(own).filter((name) => !home.properties![name]);
  return { thing, current, wanted: `none beside ${others.join(" and ")}` };
}

/** Of a value of the nearest branch, which zod takes for another branch's, what is of another kind than its key wants. */
function findOfAnotherKind(path: string, value: unknown) {
  const types: Partial<Record<ConfigField["kind"], string>> = {
    integer: "number",
    number: "number",
    boolean: "boolean",
    text: "string",
  };
  for (const [thing, own] of valuesByPath(value, path)) {
    const field = describeConfig().find(({ key }) => key === thing);
    if (!field) continue;
    const { kind, choices, wanted } = field;
    const fits = choices?.includes(own as string) ||
      kind !== "choice" && typeof own === (types[kind] ?? typeof own);
    if (!fits) return { thing, current: quoteValue(own), wanted };
  }
  return undefined;
}

/** The nearest of the keys that there are, at the root by their paths. */
function describeNearestKey(path: readonly PropertyKey[], key: string, branches: readonly Node[]): string {
  const nameOf = (field: ConfigField) => field.key.slice(field.key.lastIndexOf(".") + 1);
  const nearest = path.length > 0 ? undefined : nearestName(key, describeConfig().map(nameOf));
  const field = describeConfig().find((field) => nameOf(field) === nearest);
  if (field) return `"${field.key}", the nearest known key`;
  return describeAlternatives(key, [
    ...new Set(branches.flatMap(({ properties }) => Object.keys(properties!))),
  ]);
}
