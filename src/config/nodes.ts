/**
 * The tree of keys as data: which keys each branch has, which branch a value is of, and values joined along it.
 *
 * @module
 */
import { z } from "zod";
import { findTellingKey, listBranches, listWords, type Node, valueAt } from "../schema_words.ts";
import { tree } from "./tree.ts";

/** An object of keys. */
export type Keys = Readonly<Record<string, unknown>>;

/** The root of the tree. */
export const root: Node = z.toJSONSchema(tree, { io: "input" }) as Node;

/** True for an object of keys. */
export function isKeys(value: unknown): value is Keys {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True where a value may stand at a node; of an object of keys it is not asked which. */
export function fits(node: Node, value: unknown): boolean {
  const parts = node.oneOf ?? node.anyOf, words = listWords(node);
  if (parts) return parts.some((part) => fits(part, value));
  if (node.properties) return isKeys(value);
  if (words.length > 0) return words.includes(value as string | number);
  if (node.type === "array") return Array.isArray(value) && value.every((item) => fits(node.items!, item));
  if (node.type === "boolean") return typeof value === "boolean";
  if (node.type === "string") return typeof value === "string";
  const { minimum = -Infinity, exclusiveMinimum, maximum = Infinity, exclusiveMaximum } = node;
  return typeof value === "number" && (node.type === "number" || Number.isInteger(value)) &&
    value >= minimum && value <= maximum &&
    value > (exclusiveMinimum ?? -Infinity) && value < (exclusiveMaximum ?? Infinity);
}

/** What a distance is measured beside: other branches that it may be, and keys that were set last, which weigh most. */
interface Beside {
  readonly rivals: readonly Node[];
  readonly heavy: unknown;
}

/**
 * How far a value is from a branch: the key that tells branches apart weighs most, then keys that were set, those that
 * every branch needs which has them, those that are missing, values that do not fit, and other keys.
 */
function distanceToBranch(branch: Node, value: Keys, { rivals, heavy }: Beside): number {
  const { properties = {}, required = [] } = branch, told = findTellingKey(rivals);
  const set = isKeys(heavy) ? heavy : {};
  const isNeeded = (key: string) =>
    rivals.every((rival) => !rival.properties?.[key] || rival.required?.includes(key));
  const given = Object.keys(value).map((key) => {
    if (!properties[key]) return Object.hasOwn(set, key) ? 100 : isNeeded(key) ? 10 : 2;
    const nodes = rivals.flatMap((rival) => listBranches(rival.properties?.[key]));
    const own = distanceTo(properties[key], value[key], { rivals: nodes, heavy: set[key] });
    return key === told ? 1000 * own : Math.min(own, 5);
  });
  const missing = required.filter((key) => !Object.hasOwn(value, key)).map((key) => key === told ? 100 : 8);
  return [...given, ...missing].reduce<number>((sum, weight) => sum + weight, 0);
}

/** How far a value is from what a node takes; 0 where it may stand there. */
function distanceTo(node: Node, value: unknown, beside: Beside): number {
  const branches = listBranches(node);
  if (branches.length === 0 || !isKeys(value)) return fits(node, value) ? 0 : 5;
  return Math.min(...branches.map((branch) => distanceToBranch(branch, value, beside)));
}

/** The branch that a value is of, or is nearest to; undefined for what has no keys. */
export function branchFor(node: Node | undefined, value: Keys, heavy: Keys = {}): Node | undefined {
  const rivals = listBranches(node),
    distances = rivals.map((branch) => distanceToBranch(branch, value, { rivals, heavy }));
  return rivals[distances.indexOf(Math.min(...distances))];
}

/** The nodes at a path, of whatever branches. */
export function nodesAt(path: readonly string[]): readonly Node[] {
  return path.reduce<readonly Node[]>(
    (nodes, key) => nodes.flatMap(listBranches).flatMap(({ properties }) => properties![key] ?? []),
    [root],
  );
}

/** The node at a path, by the branches that a value takes on the way. */
export function nodeAt(value: unknown, path: readonly PropertyKey[]): Node | undefined {
  return path.reduce<Node | undefined>((node, key, i) => {
    const part = valueAt(value, path.slice(0, i));
    return branchFor(node, isKeys(part) ? part : {})?.properties?.[String(key)];
  }, root);
}

/** Lays keys that were set over others, part by part. */
function layOver(before: Keys, set: Keys): Keys {
  const laid = Object.entries(set).map(([key, value]) => {
    const old = before[key];
    return [key, isKeys(value) ? layOver(isKeys(old) ? old : {}, value) : value];
  });
  return { ...before, ...Object.fromEntries(laid) };
}

/** Leaves out keys that are undefined, and parts that have no other. */
function withoutAbsent(keys: Keys): Keys {
  const left = Object.entries(keys).map(([key, value]) => {
    if (!isKeys(value) || Object.keys(value).length === 0) return [key, value] as const;
    const inner = withoutAbsent(value);
    return [key, Object.keys(inner).length > 0 ? inner : undefined] as const;
  });
  return Object.fromEntries(left.filter(([, value]) => value !== undefined));
}

/** Leaves out what the branches have not that a value is of, unless it was set. */
function withoutOthers(value: Keys, set: Keys, node: Node | undefined): Keys {
  const known = branchFor(node, value, set)?.properties;
  if (!known) return value;
  const isKept = ([key, own]: readonly [string, unknown]) =>
    Object.hasOwn(set, key) || known[key] && fits(known[key], own);
  const left = Object.entries(value).filter(isKept).map(([key, own]) => {
    const inner = set[key];
    return [key, isKeys(own) ? withoutOthers(own, isKeys(inner) ? inner : {}, known[key]) : own];
  });
  return Object.fromEntries(left);
}

/**
 * Joins what was set with what was there. Where it sets another branch of a union, such as another optimizer, what only the
 * old branch has goes; a key that is set to undefined goes, and a part with its last one.
 *
 * @param node Whose keys they are; null joins what is set, without asking what goes together.
 */
export function joinKeys(before: object, set: Keys, node: Node | null = root): Keys {
  const joined = layOver({ ...before }, set);
  return node === null ? joined : withoutOthers(withoutAbsent(joined), set, node);
}

/** The object that has a value at a path, such as `train.optimizer.momentum`. */
export function keysAt(path: string, value: unknown): Keys {
  return path.split(".").reduceRight<unknown>((part, key) => ({ [key]: part }), value) as Keys;
}

/** Every value of a configuration by its path; lists, and objects without keys, are values. */
export function valuesByPath(
  config: unknown,
  path = "",
): readonly (readonly [path: string, value: unknown])[] {
  if (!isKeys(config) || path !== "" && Object.keys(config).length === 0) return [[path, config]];
  return Object.entries(config).flatMap(([key, value]) =>
    valuesByPath(value, path === "" ? key : `${path}.${key}`)
  );
}
