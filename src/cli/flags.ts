/**
 * Reads a command's flags strictly: nothing unknown, nothing twice, nothing without its value. A key of the configuration
 * is a flag by its path, and by its short name where it has one.
 *
 * node:util splits the arguments, since its tokens show every occurrence of a flag and it has types.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { z } from "zod";
import { type ConfigField, describeSchema } from "../config/fields.ts";
import { configFlags, type WordField } from "../config/words.ts";
import { ConfigError } from "../errors.ts";
import { describeNearest } from "../nearest.ts";

/** One flag of a command. */
export type FlagField = (ConfigField | WordField) & {
  /** Keys of the configuration that mean the same, under whose flags other commands have it. */
  readonly sameAs?: readonly string[];
};

/** A flag's value as its text gives it. */
export type FlagValue = string | number | boolean | readonly (string | number)[];

/** What a command line said. */
export interface ParsedFlags {
  /** Values by key, of the flags that were given. */
  readonly values: Readonly<Record<string, FlagValue>>;
  /** The arguments that are no flags. */
  readonly positionals: readonly string[];
  /** What help is asked for where `--help`, `-h` or `--help all` stands anywhere; the rest is then not checked. */
  readonly help?: "brief" | "all";
}

/** The flags of the keys at some paths, and of all keys below them. */
export function selectFlags(...paths: readonly string[]): readonly FlagField[] {
  return configFlags.filter(({ key }) => isAmong(paths, key));
}

/** True for a path that is one of some, or lies below one. */
export function isAmong(paths: readonly string[], key: string): boolean {
  return paths.some((path) => key === path || key.startsWith(`${path}.`));
}

/** Flags that a command has of its own. */
export interface OwnFlags<Values> {
  readonly fields: readonly FlagField[];
  /** Checks their values, and fills in the defaults. @throws {ConfigError} Where one is not allowed. */
  read(values: Readonly<Record<string, unknown>>): Values;
}

/**
 * The flags of the keys of an object, whose values are as its schemas say.
 *
 * @param sameAs Keys of the configuration that mean the same as a key: their flags are refused with its name.
 */
export function ownFlags<Shape extends z.ZodRawShape>(
  shape: Shape,
  sameAs: { readonly [Key in keyof Shape]?: readonly string[] } = {},
): OwnFlags<z.output<z.ZodObject<Shape>>> {
  const schema = z.object(shape);
  const fields = describeSchema(schema).map((field): FlagField => {
    const { [field.key]: keys } = sameAs;
    return keys ? { ...field, sameAs: keys } : field;
  });
  const read = (values: Readonly<Record<string, unknown>>) => {
    const { success, data, error } = schema.safeParse(values);
    if (success) return data;
    const { flag, key, wanted } = fields.find(({ key }) => key === error.issues[0].path[0])!;
    const value = values[key], current = Array.isArray(value) ? `"${value}"` : JSON.stringify(value);
    throw new ConfigError({ act: "use", thing: `--${flag}`, current, wanted });
  };
  return { fields, read };
}

/** The flag of commands that print for machines too. */
export const jsonFlag = {
  json: z.boolean().default(false).describe("Print one JSON object instead of text."),
};

/** The flag that names a file of keys. */
export const configFlag = {
  config: z.string().min(1).optional().describe(
    "JSON file of keys as --print-config prints them, or a run's report, to run it again; flags override it.",
  ),
};

/** The flag that goes on with a run. */
export const resumeFlag = {
  resume: z.string().min(1).optional().describe(
    "Go on with the run in this output folder where it was stopped; only paths that changed need be given.",
  ),
};

/** The flags of a prune run that are no keys of its configuration. */
export const runFlags = ownFlags({
  ...configFlag,
  ...resumeFlag,
  printConfig: z.boolean().default(false).describe(
    "--print-config: Print the resulting configuration as JSON, and stop.",
  ),
});

/** The names of a flag: its short one, and the path of a key. */
function listNames({ flag, key }: FlagField): readonly string[] {
  return key.includes(".") && flag !== key ? [flag, key] : [flag];
}

/** The flag that means what a flag of other commands means. */
function findSame(name: string, fields: readonly FlagField[]): FlagField | undefined {
  const meant = configFlags.find((field) => listNames(field).includes(name));
  if (!meant) return undefined;
  const key = "at" in meant ? meant.at : meant.key;
  return fields.find(({ sameAs }) => sameAs?.includes(key));
}

/** True for a flag that takes no value. */
function isSwitch({ kind }: FlagField): boolean {
  return kind === "boolean";
}

/** True for a key of the configuration, which `--no-NAME` takes away. */
function isKey({ key }: FlagField): boolean {
  return configFlags.some((field) => field.key === key);
}

/** The flag that `--no-NAME` names, a part before the key in it that has the same name. */
function findNegated(name: string, fields: readonly FlagField[]): FlagField | undefined {
  if (!name.startsWith("no-")) return undefined;
  const found = fields.filter((field) =>
    (isSwitch(field) || isKey(field)) && listNames(field).includes(name.slice("no-".length))
  );
  return found.find(({ kind }) => kind === "part") ?? found[0];
}

/** Turns a flag's text into its value. */
function convert(field: FlagField, text: string): FlagValue {
  const refuse = () =>
    new ConfigError({ act: "use", thing: `--${field.flag}`, current: `"${text}"`, wanted: field.wanted });
  const { kind, choices } = field;
  if (kind === "numbers" || kind === "texts") {
    const parts = text.split(",").map((part) => part.trim());
    if (parts.includes("") || kind === "numbers" && !parts.every(isNumber)) throw refuse();
    return kind === "texts" ? parts : parts.map(Number);
  }
  if (kind === "integer" || kind === "number") {
    if (choices?.includes(text)) return text;
    if (!isNumber(text)) throw refuse();
    return Number(text);
  }
  if (text === "" || choices?.includes(text) === false) throw refuse();
  if ("read" in field && field.read(text) === undefined) throw refuse();
  return text;
}

function isNumber(text: string): boolean {
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text);
}

/** One occurrence of a flag, as node:util tells it. */
interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

/** Reads one occurrence of a flag as a key and its value; `help` is the flag that lists all. */
function readOption(token: OptionToken, fields: readonly FlagField[], help: string): [string, FlagValue] {
  const refuse = (current: string, wanted: string) =>
    new ConfigError({ act: "use", thing: token.rawName, current, wanted });
  const named = fields.find((field) => field.kind !== "part" && listNames(field).includes(token.name));
  const negated = findNegated(token.name, fields), field = named ?? negated;
  if (field === undefined) {
    const same = findSame(token.name, fields);
    if (same) throw refuse("an unknown flag", `"--${same.flag}", which means the same here`);
    const part = fields.find((field) => listNames(field).includes(token.name));
    const own = fields.filter(({ group, kind }) => group === part?.key && kind !== "part");
    if (own.length > 0) {
      throw refuse("an unknown flag", alternatives.format(own.map(({ flag }) => `--${flag}`)));
    }
    const names = new Set(fields.filter(({ kind }) => kind !== "part").flatMap(listNames));
    const flags = [...names].map((name) => `--${name}`).concat("--help");
    throw refuse("an unknown flag", describeNearest(token.rawName, flags, `${help} lists them`));
  }
  if (!named || isSwitch(field)) {
    if (token.value !== undefined) throw refuse(`"${token.value}"`, "no value");
    return [field.key, named !== undefined];
  }
  const { value, inlineValue } = token;
  // A following flag is not a value; a negative number is.
  if (value === undefined || (!inlineValue && /^--?[a-z]/i.test(value))) {
    throw refuse("no value", field.wanted);
  }
  return [field.key, convert(field, value)];
}

/**
 * Parses a command's arguments.
 *
 * @param argv the arguments after the command's name
 * @param fields the flags that the command knows, besides `--help`
 * @param options `positionals`: whether arguments that are no flags are allowed, such as files; `common`: the flags
 *   that `--help` names where only `--help all` names all
 * @throws {ConfigError} naming the flag, its value and what is expected
 */
export function parseFlags(
  argv: readonly string[],
  fields: readonly FlagField[],
  options: { readonly positionals?: boolean; readonly common?: readonly string[] } = {},
): ParsedFlags {
  const types = fields.filter(({ kind }) => kind !== "part").flatMap((field) =>
    listNames(field).map((name) => [name, { type: isSwitch(field) ? "boolean" : "string" }])
  );
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    options: { ...Object.fromEntries(types), help: { type: "boolean", short: "h" } },
  });
  if (tokens.some((token) => token.kind === "option" && token.name === "help")) {
    return { values: {}, positionals: [], help: argv.includes("all") ? "all" : "brief" };
  }
  const values: Record<string, FlagValue> = {};
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") {
      if (!options.positionals) {
        const current = "an argument that is no flag";
        throw new ConfigError({ act: "use", thing: token.value, current, wanted: "flags only, see --help" });
      }
      positionals.push(token.value);
    } else if (token.kind === "option") {
      const [key, value] = readOption(token, fields, options.common ? "--help all" : "--help");
      if (Object.hasOwn(values, key)) {
        throw new ConfigError({ act: "use", thing: token.rawName, current: "given twice", wanted: "once" });
      }
      values[key] = value;
    }
  }
  return { values, positionals };
}

/** Breaks a text into lines of at most `columns` characters, at spaces. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines;
}

/** Words of which one is meant: a, b or c. */
const alternatives = new Intl.ListFormat("en-GB", { type: "disjunction" });

/** A flag and what help says of it. */
function describeFlag(field: FlagField, isBrief = false): readonly [name: string, text: string] {
  const { flag, key, kind, choices = [], description } = field;
  const name = key.slice(key.lastIndexOf(".") + 1),
    kebab = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const ofKey = !isBrief && key.includes(".") && flag !== key && flag !== kebab ? ` (${name})` : "";
  if (field.without !== undefined) return [`--no-${flag}`, `${field.without}${ofKey}`];
  // A switch without a default may be set either way.
  if (isSwitch(field)) {
    return [`--${flag}${field.default === undefined ? `, --no-${flag}` : ""}`, `${description}${ofKey}`];
  }
  // What words may stand in the place of a number, its description says.
  const wanted = kind === "choice" ? ` One of ${choices.join(", ")}.` : "";
  const preset = Array.isArray(field.default) ? field.default.join() : field.default ?? "";
  const nouns: Partial<Record<FlagField["kind"], string>> = {
    text: "TEXT",
    choice: "NAME",
    texts: "NAMES",
    numbers: "NUMBERS",
  };
  return [
    `--${flag} ${nouns[kind] ?? "NUMBER"}`,
    `${description}${field.under ? ` Only with ${alternatives.format(field.under)}.` : ""}${wanted}${
      preset === "" ? "" : ` Default ${preset}.`
    }${ofKey}`,
  ];
}

/** What a command says of itself. */
export interface CommandHelp {
  /** The line after "Usage:", such as `./winnow prune [FLAGS]`. */
  readonly usage: string;
  /** What the command does, in one sentence or two. */
  readonly summary: string;
  /** Its flags, besides `--help`. */
  readonly fields: readonly FlagField[];
  /** Of a command of many flags, those that most people need, by name. */
  readonly common?: readonly string[];
  /** Commands that people may start from. */
  readonly examples?: readonly string[];
}

/** Formats what `--help` prints, the flags that most people need; and `--help all`, all of them by the branches of the tree. */
export function formatHelp(
  { usage, summary, fields, common, examples = [] }: CommandHelp,
  help: "brief" | "all" = "brief",
): string {
  const isWhole = common === undefined || help === "all";
  // A flag of words is shown in place of the key that it stands for, and the keys of a part in place of it.
  const replaced = new Set(fields.map((field) => "at" in field ? field.at : undefined));
  const all = fields.filter(({ key, kind }) => !replaced.has(key) && kind !== "part");
  const shown = isWhole ? all : common.map((name) => all.find(({ flag }) => flag === name)!);
  const rows = Map.groupBy(shown, ({ group }) => common && isWhole && group ? group : "");
  const own = [
    ...(rows.get("") ?? []).map((field) => describeFlag(field, common === undefined || !isWhole)),
    ["--help", "Print this, and stop."] as const,
  ];
  const more = common && !isWhole ? [["--help all", `Print all ${all.length} flags.`] as const] : [];
  rows.delete("");
  const groups = new Map([
    ["Flags", [...own, ...more]],
    ...[...rows].map(([group, fields]) => [group, fields.map((field) => describeFlag(field))] as const),
  ]);
  const margin = Math.max(...[...groups.values()].flat().map(([name]) => name.length)) + 4;
  const sections = [...groups].flatMap(([group, rows]) => [
    "",
    `${group}:`,
    ...rows.flatMap(([name, text]) =>
      wrap(text, 100 - margin).map((line, row) => `${(row === 0 ? `  ${name}` : "").padEnd(margin)}${line}`)
    ),
  ]);
  const paths =
    "Each key of the configuration is a flag by its path too, such as --train.optimizer.momentum 0.9: its branch " +
    "stands above it, its name is that of the flag or in brackets. --no-NAME takes away what a file sets of a key or a branch.";
  return [
    `Usage: ${usage}`,
    "",
    ...wrap(summary, 100),
    ...(common && isWhole ? ["", ...wrap(paths, 100)] : []),
    ...sections,
    ...(examples.length > 0 ? ["", "Examples:", ...examples.map((example) => `  ${example}`)] : []),
  ].join("\n");
}
