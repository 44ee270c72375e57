/**
 * What of a configuration does not fit the tree, in words: the path, the value and what is wanted.
 *
 * @module
 */
import type { z } from "zod";
import { describeAlternatives, nearestName } from "../nearest.ts";
import {
  describeWanted,
  findTellingKey,
  listBranches,
  type Node,
  quoteValue,
  valueAt,
} from "../schema_words.ts";
import { type ConfigField, describeConfig, describeKindsWith } from "./fields.ts";
import { branchFor, fits, isKeys, type Keys, nodeAt, nodesAt, root } from "./nodes.ts";

/** What does not fit. */
export interface Misfit {
  /** Its path. */
  readonly thing: string;
  /** What stands there. */
  readonly current: string;
  /** What would fit. */
  readonly wanted: string;
}

type Path = readonly string[];

/** The first part of a configuration that fits no branch of the tree; undefined where all fits, up to the rules. */
export function findMisfit(config: unknown): Misfit | undefined {
  return findBelow(root, { value: config, path: [], config });
}

function findBelow(
  node: Node,
  { value, path, config }: { readonly value: unknown; readonly path: Path; readonly config: unknown },
): Misfit | undefined {
  const branch = isKeys(value) ? branchFor(node, value) : undefined;
  if (!branch || !isKeys(value)) {
    return fits(node, value)
      ? undefined
      : describeMisfit(path, quoteValue(value), describeWantedAt(path, config));
  }
  const properties = branch.properties!, unknown = Object.keys(value).find((key) => !properties[key]);
  if (unknown !== undefined) return describeUnknown([...path, unknown], config);
  const missing = branch.required?.find((key) => !Object.hasOwn(value, key));
  if (missing !== undefined) {
    return describeMisfit([...path, missing], "absent", describeWanted(properties[missing]));
  }
  for (const [key, part] of Object.entries(value)) {
    const found = findBelow(properties[key], { value: part, path: [...path, key], config });
    if (found) return found;
  }
  return undefined;
}

function describeMisfit(path: Path, current: string, wanted: string): Misfit {
  return { thing: path.join(".") || "config", current, wanted };
}

/** What is wanted of a value: beside others, where it would fit without them. */
function describeWantedAt(path: Path, config: unknown): string {
  const node = nodeAt(config, path)!, value = valueAt(config, path);
  if (!fits(node, value) && nodesAt(path).some((other) => fits(other, value))) {
    return `${describeWanted(node)} beside ${describeBeside(path, config)}`;
  }
  const field = describeConfig().find(({ key }) => key === path.join("."));
  return field?.wanted ?? describeWanted(node);
}

/** The key that decides, above a path, which branch a configuration takes. */
function describeBeside(path: Path, config: unknown): string {
  const parents = path.map((_, i) => path.slice(0, i)),
    isUnion = (at: Path) => listBranches(nodeAt(config, at)).length > 1;
  const parent = parents.findLast(isUnion) ?? [], node = nodeAt(config, parent);
  const branches = listBranches(node), value = valueAt(config, parent) as Keys;
  const told = findTellingKey(branches)!, own = value[told], at = [...parent, told];
  if (!isKeys(own)) return `${at.join(".")} ${own}`;
  // Of several keys that it needs, the one that fewest others need.
  const needed = branches.flatMap(({ properties }) => listBranches(properties![told])).flatMap((
    { required },
  ) => required ?? []);
  const countOf = (key: string) => needed.filter((other) => other === key).length;
  const { required, properties = {} } = branchFor(nodeAt(config, at), own) ?? {};
  const keys = required ? [...required].sort((a, b) => countOf(a) - countOf(b)) : Object.keys(properties);
  return [...at, ...keys.filter((key) => Object.hasOwn(own, key)).slice(0, 1)].join(".");
}

/** Says of a key that is none, or none of its branch, what there is, or where it belongs. */
function describeUnknown(path: Path, config: unknown): Misfit {
  const key = path.at(-1)!, parent = path.slice(0, -1), current = quoteValue(valueAt(config, path));
  const branches = listBranches(nodeAt(config, parent));
  const [home] = branches.filter(({ properties }) => properties?.[key]);
  if (!home) {
    return nodesAt(path).length > 0
      ? describeMisfit(path, current, `none beside ${describeBeside(parent, config)}`)
      : describeMisfit(path, "an unknown key", describeNearestKey(path, branches));
  }
  const kinds = describeKindsWith(key, branches);
  if (kinds.length > 0) {
    const kind = [...parent, findTellingKey(branches)].join(".");
    return describeMisfit(path, current, `none unless ${kind} is ${kinds.join(" or ")}`);
  }
  const others = Object.keys(valueAt(config, parent) as Keys).filter((name) => !home.properties![name]);
  return describeMisfit(path, current, `none beside ${others.join(" and ")}`);
}

/** The nearest of the keys that there are, at the root by their paths. */
function describeNearestKey(path: Path, branches: readonly Node[]): string {
  const key = path.at(-1)!, nameOf = (field: ConfigField) => field.key.slice(field.key.lastIndexOf(".") + 1);
  const nearest = path.length > 1 ? undefined : nearestName(key, describeConfig().map(nameOf));
  const field = describeConfig().find((field) => nameOf(field) === nearest);
  if (field) return `"${field.key}", the nearest known key`;
  return describeAlternatives(key, [
    ...new Set(branches.flatMap(({ properties }) => Object.keys(properties!))),
  ]);
}

/** Describes what zod found in a configuration that fits the tree: what a rule, or a check of a single value, says. */
export function describeIssue(issue: z.core.$ZodIssue, config: unknown): Misfit {
  const path = issue.path.map(String);
  if (issue.code === "invalid_union") {
    const own = valueAt(config, path), node = nodeAt(config, path);
    const branch = isKeys(own) ? branchFor(node, own) : undefined;
    const [inner] = issue.errors[listBranches(node).indexOf(branch!)] ?? [];
    if (inner) return describeIssue({ ...inner, path: [...issue.path, ...inner.path] }, config);
  }
  // Of a list, what is wanted is said of the whole.
  const fields = describeConfig(),
    known = fields.find(({ key }) => key === path.join(".")) ??
      fields.find(({ key }) => key === path.slice(0, -1).join("."));
  const own = known?.key.split(".") ?? path, current = quoteValue(valueAt(config, own));
  return describeMisfit(
    own,
    current,
    issue.code === "custom" ? issue.message : describeWantedAt(own, config),
  );
}
