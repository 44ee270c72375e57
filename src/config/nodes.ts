/**
 * The tree of keys as data: which keys each branch has, which branch a value is of, and values joined along it.
 *
 * @module
 */
import { z } from "zod";
import { tree } from "./tree.ts";

/** A part of the tree as JSON Schema has it, with what the schema says of it. */
export interface Node {
  readonly type?: "integer" | "number" | "boolean" | "string" | "array" | "object";
  /** What it may be one of. */
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
  /** The keys of an object, and those that must be there. */
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  /** What a list holds. */
  readonly items?: Node;
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly description?: string;
  readonly wanted?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
}

/** An object of keys. */
export type Keys = Readonly<Record<string, unknown>>;

/** The root of the tree. */
export const root: Node = z.toJSONSchema(tree, { io: "input" }) as Node;

/** True for an object of keys. */
export function isKeys(value: unknown): value is Keys {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The objects of keys that a node may be: itself, or the branches of its union; none for a single value. */
export function listBranches(node: Node | undefined): readonly Node[] {
  if (node?.properties) return [node];
  const branches = node?.oneOf ?? node?.anyOf ?? [];
  return branches.every(({ properties }) => properties) ? branches : [];
}

/** The words that a single value may be: a constant, a choice, or those of its union. */
export function listWords({ const: word, enum: words, anyOf }: Node): readonly string[] {
  return word !== undefined ? [word] : words ?? anyOf?.flatMap(listWords) ?? [];
}

/** True for a value that only words of a node could be, and none is. */
function isAnother(node: Node, value: unknown): boolean {
  if (node.anyOf) return node.anyOf.every((part) => isAnother(part, value));
  if (node.properties) return !isKeys(value);
  const words = listWords(node);
  return words.length > 0 && !words.includes(value as string);
}

/** How far a value is from a branch: keys that tell it apart weigh most, then keys of `heavy`, then others. */
function distanceTo(
  branch: Node,
  value: Keys,
  { all, heavy }: { readonly all: readonly Node[]; readonly heavy: Keys },
) {
  const { properties = {}, required = [] } = branch;
  const tells = (key: string) => all.length > 1 && all.every((other) => other.properties?.[key]);
  const given = Object.keys(value).map((key) => {
    const node = properties[key];
    if (node) return tells(key) && isAnother(node, value[key]) ? 1000 : 0;
    return Object.hasOwn(heavy, key) ? 20 : 2;
  });
  const missing = required.filter((key) => !Object.hasOwn(value, key)).map((key) => tells(key) ? 100 : 1);
  return [...given, ...missing].reduce<number>((sum, weight) => sum + weight, 0);
}

/** The branch that a value is of, or is nearest to; undefined for what has no keys. */
export function branchFor(node: Node | undefined, value: Keys, heavy: Keys = {}): Node | undefined {
  const all = listBranches(node), distances = all.map((branch) => distanceTo(branch, value, { all, heavy }));
  return all[distances.indexOf(Math.min(...distances))];
}

/** The value at a path, undefined where there is none. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((part, key) => (part as Record<PropertyKey, unknown> | undefined | null)?.[key], value);
}

/** The node at a path, by the branches that a value takes on the way. */
export function nodeAt(value: unknown, path: readonly PropertyKey[]): Node | undefined {
  return path.reduce<Node | undefined>((node, key, i) => {
    const part = valueAt(value, path.slice(0, i));
    return branchFor(node, isKeys(part) ? part : {})?.properties?.[String(key)];
  }, root);
}

/**
 * Joins what was set with what was there. Where it sets another branch of a union, such as another optimizer, what only the
 * old branch has goes; a key that is set to undefined goes.
 *
 * @param node Whose keys they are; null joins what is set, without asking what goes together.
 */
export function joinKeys(before: Keys, set: Keys, node: Node | null = root): Keys {
  const joined = Object.entries({ ...before, ...set }).filter(([, value]) =>
    value !== undefined || node === null
  );
  const known = node && branchFor(node, Object.fromEntries(joined), set)?.properties;
  const isKept = ([key, value]: [string, unknown]) =>
    Object.hasOwn(set, key) || !known || Object.hasOwn(known, key) && !isAnother(known[key], value);
  const joinPart = (key: string, value: unknown) => {
    if (!isKeys(value) || !Object.hasOwn(set, key)) return value;
    const old = before[key];
    return joinKeys(isKeys(old) ? old : {}, value, known?.[key] ?? null);
  };
  return Object.fromEntries(joined.filter(isKept).map(([key, value]) => [key, joinPart(key, value)]));
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
