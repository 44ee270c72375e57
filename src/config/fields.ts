/**
 * The keys of the tree as flags, help and errors see them, derived from the schema.
 *
 * @module
 */
import { z } from "zod";
import { describeWanted, findTellingKey, listBranches, listWords, type Node } from "../schema_words.ts";
import { root } from "./nodes.ts";

/** One key of the configuration, as flags, help and errors see it. */
export interface ConfigField {
  /** The path of the key, such as `train.optimizer.momentum`, which is a flag too. */
  readonly key: string;
  /** The short name of its flag, or its path where it has none. */
  readonly flag: string;
  /** The branch that help shows it in, such as `train.optimizer`. */
  readonly group?: string;
  /** What a value is; a part is there or not by its keys, and its flag only takes it away. */
  readonly kind: "integer" | "number" | "boolean" | "text" | "choice" | "numbers" | "texts" | "part";
  /** The value of an absent key, or undefined where it stays absent. */
  readonly default: string | number | boolean | readonly (string | number)[] | undefined;
  /** One sentence on what the key does. */
  readonly description: string;
  /** One sentence on what `--no-NAME` does, of a switch that is on by default. */
  readonly without?: string;
  /** The values that are allowed, in words, such as `a whole number, at least 1`. */
  readonly wanted: string;
  /** The values of a choice; of a number the words that may stand in its place. */
  readonly choices?: readonly string[];
  /** The kinds of its branch that have it, where others have not. */
  readonly under?: readonly string[];
}

function readKind(node: Node): ConfigField["kind"] {
  const value = node.anyOf?.find(({ type }) => type === "number");
  if (value) return "number";
  if (listBranches(node).length > 0) return "part";
  if (node.type === "array") return node.items?.type === "string" ? "texts" : "numbers";
  if (listWords(node).length > 0) return "choice";
  return node.type === "string" ? "text" : node.type as "integer" | "number" | "boolean";
}

function makeField(key: string, nodes: readonly Node[], under: readonly string[]): ConfigField {
  const [node] = nodes, constants = [...new Set(nodes.flatMap(listWords))];
  const words = constants.filter((word) => typeof word === "string");
  // A key that has a short name begins with it.
  const [, short, description] = /^(?:--(\S+): )?(.*)$/.exec(node.description!)!;
  const kind = readKind(node), all = kind === "choice" ? { wanted: node.wanted, enum: words } : node;
  const numbers = constants.filter((word) => typeof word === "number").map((number) => `${number} or `);
  return {
    key,
    flag: short ?? key,
    group: kind === "part" ? key : key.slice(0, Math.max(0, key.lastIndexOf("."))),
    kind,
    default: kind === "part" ? undefined : node.default as ConfigField["default"],
    description,
    ...(node.without === undefined ? {} : { without: node.without }),
    wanted: `${numbers.join("")}${describeWanted(all)}`,
    ...(words.length > 0 ? { choices: words } : {}),
    ...(under.length > 0 ? { under } : {}),
  };
}

/** The words that tell a branch apart, and what else may stand in their place. */
function listKinds(node: Node): readonly string[] {
  const blocks = node.anyOf?.some(({ properties }) => properties) ? ["blocks"] : [];
  return [...listWords(node).map(String), ...blocks];
}

/** The kinds of those branches that have a key, where the others are of other kinds. */
function listKindsWith(
  key: string,
  branches: readonly Node[],
  kindsOf: (node: Node) => readonly string[] = listKinds,
): readonly string[] {
  const kind = findTellingKey(branches);
  if (kind === undefined) return [];
  const kindsWhere = (has: boolean) =>
    branches.filter(({ properties }) => key in properties! === has)
      .flatMap(({ properties }) => kindsOf(properties![kind]));
  const kinds = new Set(kindsWhere(true)), others = kindsWhere(false);
  return others.length === 0 || others.some((word) => kinds.has(word)) ? [] : [...kinds];
}

/** The same, numbers said in words. */
export function describeKindsWith(key: string, branches: readonly Node[]): readonly string[] {
  return listKindsWith(key, branches, (node) => {
    const words = listKinds(node);
    return words.length > 0 || listBranches(node).length > 0 ? words : [describeWanted(node)];
  });
}

/** The fields of some branches, one for each path, however many have it. */
function fieldsBelow(branches: readonly Node[], path: string): readonly ConfigField[] {
  const keys = new Set(branches.flatMap(({ properties = {} }) => Object.keys(properties)));
  return [...keys].flatMap((key) => {
    const nodes = branches.flatMap(({ properties }) => properties![key] ?? []);
    const own = path === "" ? key : `${path}.${key}`, under = listKindsWith(key, branches);
    return [
      ...(nodes[0].description === undefined ? [] : [makeField(own, nodes, under)]),
      ...fieldsBelow(nodes.flatMap(listBranches), own),
    ];
  });
}

/** The keys of any schema of an object as flags. */
export function describeSchema(schema: z.ZodType): readonly ConfigField[] {
  return fieldsBelow([z.toJSONSchema(schema, { io: "input" }) as Node], "");
}

const fields = fieldsBelow([root], "");

/** Lists every key of the configuration, in the tree's order, as derived from the schema. */
export function describeConfig(): readonly ConfigField[] {
  return fields;
}
