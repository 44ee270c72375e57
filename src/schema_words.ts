/**
 * What a schema takes, and what it refuses of a value, in words.
 *
 * @module
 */
import { z } from "zod";
import { describeAlternatives } from "./nearest.ts";

/** A part of a schema as JSON Schema has it, with what the schema says of it. */
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
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly const?: string | number;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly description?: string;
  readonly wanted?: string;
  readonly without?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
}

/** The objects of keys that a node may be: itself, or the branches of its union; none for a single value. */
export function listBranches(node: Node | undefined): readonly Node[] {
  if (node?.properties) return [node];
  const branches = node?.oneOf ?? node?.anyOf ?? [];
  return branches.every(({ properties }) => properties) ? branches : [];
}

/** The words, or the number, that a single value may be: a constant, a choice, or those of its union. */
export function listWords({ const: word, enum: words, anyOf }: Node): readonly (string | number)[] {
  return word !== undefined ? [word] : words ?? anyOf?.flatMap(listWords) ?? [];
}

/** The first key that all branches have, which tells them apart; undefined where there is none, or but one branch. */
export function findTellingKey(branches: readonly Node[]): string | undefined {
  if (branches.length < 2) return undefined;
  return Object.keys(branches[0].properties!).find((key) =>
    branches.every(({ properties }) => properties?.[key])
  );
}

/** The value at a path, undefined where there is none. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((part, key) => (part as Record<PropertyKey, unknown> | undefined | null)?.[key], value);
}

/** Says in words which values a node takes. */
export function describeWanted(node: Node): string {
  if (node.wanted !== undefined) return node.wanted;
  const words = listWords(node),
    value = node.anyOf?.find((part) => part.type !== undefined && listWords(part).length === 0);
  if (value) return [...words, describeWanted(value)].join(" or ");
  if (words.length > 0) {
    const [word] = words;
    if (words.length > 1) return `one of ${words.join(", ")}`;
    return typeof word === "number" ? `${word}` : `"${word}"`;
  }
  if (listBranches(node).length > 0) return "an object of keys and values";
  if (node.type === "boolean") return "true or false";
  if (node.type === "string") return node.minLength === undefined ? "a text" : "a text that is not empty";
  return node.type === "array" ? describeList(node) : describeNumber(node);
}

function describeList({ minItems = 0, maxItems }: Node): string {
  if (maxItems !== undefined) return `a list of ${minItems} to ${maxItems}`;
  return minItems > 0 ? `a list of at least ${minItems}` : "a list";
}

function describeNumber(
  { type, minimum: least, maximum: most, exclusiveMinimum, exclusiveMaximum }: Node,
): string {
  // What a whole number may be at all is no bound.
  const minimum = least === Number.MIN_SAFE_INTEGER ? undefined : least,
    maximum = most === Number.MAX_SAFE_INTEGER ? undefined : most;
  const low = minimum ?? exclusiveMinimum, noun = type === "integer" ? "a whole number" : "a finite number";
  const open = minimum === undefined ? "(" : "[";
  if (low === undefined) {
    if (exclusiveMaximum !== undefined) return `${noun}, below ${exclusiveMaximum}`;
    return maximum === undefined ? noun : `${noun}, at most ${maximum}`;
  }
  if (exclusiveMaximum !== undefined) return `${noun} in ${open}${low}, ${exclusiveMaximum})`;
  if (maximum === undefined) return `${noun}, ${minimum === undefined ? "above" : "at least"} ${low}`;
  return minimum === undefined ? `${noun} in (${low}, ${maximum}]` : `${noun} from ${low} to ${maximum}`;
}

/** A value as an error shows it: JSON on one line, cut where it is long. */
export function quoteValue(value: unknown): string {
  const text = typeof value === "number" ? String(value) : JSON.stringify(value) ?? "absent";
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** What of a value a schema refuses. */
export interface Refusal {
  /** Where it stands, such as `layers.0.kernel`; empty for the value itself. */
  readonly at: string;
  /** What stands there, or what the schema says of it in words of its own. */
  readonly current: string;
  /** What would fit; undefined where the schema has words of its own. */
  readonly wanted?: string;
}

/** The part of a schema that a part of a value is checked by; undefined where the schema does not tell. */
function findNode(node: Node | undefined, value: unknown, path: readonly PropertyKey[]): Node | undefined {
  const [key, ...rest] = path, branches = listBranches(node), told = findTellingKey(branches);
  const isMeant = ({ properties }: Node) =>
    told !== undefined && listWords(properties![told]).some((word) => word === valueAt(value, [told]));
  if (!node || key === undefined) return branches.find(isMeant) ?? node;
  const part = valueAt(value, [key]);
  if (typeof key === "number") return findNode(node.items, part, rest);
  const homes = branches.filter(({ properties }) => properties![String(key)]);
  const home = homes.find(isMeant) ?? homes[0];
  return findNode(home?.properties?.[String(key)], part, rest);
}

/** Describes the first of what a schema refuses of a value, in the words of a configuration's errors. */
export function describeRefusal(schema: z.ZodType, value: unknown, error: z.ZodError): Refusal {
  const [issue] = error.issues, { message, path } = issue, at = path.join(".");
  const found = valueAt(value, path), current = quoteValue(found);
  const own = /^expected (.*)$/.exec(message)?.[1];
  if (own !== undefined) return { at, current, wanted: own };
  if (issue.code === "custom") return { at, current: message };
  const root = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Node;
  const node = findNode(root, value, path);
  if (issue.code === "unrecognized_keys") {
    const [key] = issue.keys, known = Object.keys(node?.properties ?? {});
    const wanted = describeAlternatives(key, known);
    return { at: [...path, key].join("."), current: "an unknown key", wanted };
  }
  const { options } = issue as { readonly options?: readonly string[] };
  if (options) return { at, current, wanted: describeAlternatives(String(found ?? ""), options) };
  return { at, current, wanted: node ? describeWanted(node) : message };
}
