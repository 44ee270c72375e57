/**
 * Reads a command's flags strictly: nothing unknown, nothing twice, nothing without its value.
 *
 * node:util splits the arguments, since its tokens show every occurrence of a flag and it has types.
 *
 * @module
 */

import { parseArgs } from "node:util";
import type { ConfigField } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { describeAlternatives } from "../nearest.ts";

/** One flag of a command; the fields of the configuration are flags as they are. */
export type FlagField = ConfigField;

/** What a command line said. */
export interface ParsedFlags {
  /** Values by key, of the flags that were given. */
  readonly values: Readonly<Record<string, string | number | boolean>>;
  /** The arguments that are no flags. */
  readonly positionals: readonly string[];
  /** True where `--help` or `-h` stands anywhere; the rest is then not checked. */
  readonly help: boolean;
}

/** The flag that names a file of keys. */
export const configFlag: FlagField = {
  key: "config",
  flag: "config",
  kind: "text",
  default: undefined,
  description:
    "JSON file with any of these keys, in camel case, or a run's report, to run it again; flags override it.",
  wanted: "the path of a JSON file",
};

/** The flag that goes on with a run. */
export const resumeFlag: FlagField = {
  key: "resume",
  flag: "resume",
  kind: "text",
  default: undefined,
  description:
    "Go on with the run in this output folder where it was stopped; only paths that changed need be given.",
  wanted: "the output folder of a run that was stopped",
};

/** The flags of a prune run that are no keys of its configuration. */
export const runFields: readonly FlagField[] = [
  configFlag,
  resumeFlag,
  {
    key: "printConfig",
    flag: "print-config",
    kind: "boolean",
    default: false,
    description: "Print the resulting configuration as JSON, and stop.",
    wanted: "true or false",
  },
];

/** Turns a flag's text into its value. */
function convert(field: FlagField, text: string): string | number {
  const refuse = () =>
    new ConfigError({ act: "use", thing: `--${field.flag}`, current: `"${text}"`, wanted: field.wanted });
  if (field.kind === "integer" || field.kind === "number") {
    if (field.choices?.includes(text)) return text;
    if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text)) throw refuse();
    return Number(text);
  }
  if (text === "" || field.choices?.includes(text) === false) throw refuse();
  return text;
}

/** One occurrence of a flag, as node:util tells it. */
interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

/** Reads one occurrence of a flag as a key and its value. */
function readOption(token: OptionToken, fields: readonly FlagField[]): [string, string | number | boolean] {
  const refuse = (current: string, wanted: string) =>
    new ConfigError({ act: "use", thing: token.rawName, current, wanted });
  const named = fields.find(({ flag }) => flag === token.name);
  const negated = fields.find(({ flag, kind }) => kind === "boolean" && `no-${flag}` === token.name);
  const field = named ?? negated;
  if (field === undefined) {
    const flags = [...fields.map(({ flag }) => `--${flag}`), "--help"];
    throw refuse("an unknown flag", describeAlternatives(token.rawName, flags));
  }
  if (field.kind === "boolean") {
    if (token.value !== undefined) throw refuse(`"${token.value}"`, "no value");
    return [field.key, field === named];
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
 * @param options `positionals`: whether arguments that are no flags are allowed, such as files
 * @throws {ConfigError} naming the flag, its value and what is expected
 */
export function parseFlags(
  argv: readonly string[],
  fields: readonly FlagField[],
  options: { readonly positionals?: boolean } = {},
): ParsedFlags {
  const types = fields.map(({ flag, kind }) => [flag, { type: kind === "boolean" ? "boolean" : "string" }]);
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    options: { ...Object.fromEntries(types), help: { type: "boolean", short: "h" } },
  });
  if (tokens.some((token) => token.kind === "option" && token.name === "help")) {
    return { values: {}, positionals: [], help: true };
  }
  const values: Record<string, string | number | boolean> = {};
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") {
      if (!options.positionals) {
        const current = "an argument that is no flag";
        throw new ConfigError({ act: "use", thing: token.value, current, wanted: "flags only, see --help" });
      }
      positionals.push(token.value);
    } else if (token.kind === "option") {
      const [key, value] = readOption(token, fields);
      if (Object.hasOwn(values, key)) {
        throw new ConfigError({ act: "use", thing: token.rawName, current: "given twice", wanted: "once" });
      }
      values[key] = value;
    }
  }
  return { values, positionals, help: false };
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

/** A flag and what help says of it. */
function describeFlag(field: FlagField): [string, string] {
  if (field.kind === "boolean") {
    return field.default === true
      ? [
        `--no-${field.flag}`,
        `Do not ${field.description.replace(/^./, (letter) => letter.toLowerCase())}`,
      ]
      : [`--${field.flag}`, field.description];
  }
  // What words may stand in the place of a number, its description says.
  const { kind, choices = [] } = field, isChoice = kind === "choice";
  const wanted = isChoice ? ` One of ${choices.join(", ")}.` : "";
  const preset = field.default === undefined ? "" : ` Default ${field.default}.`;
  const noun = kind === "text" ? "TEXT" : isChoice ? "NAME" : "NUMBER";
  return [`--${field.flag} ${noun}`, `${field.description}${wanted}${preset}`];
}

/**
 * Formats what `--help` prints, the flags by their groups; those without one come last.
 *
 * @param usage the line after "Usage:", such as `./winnow prune [FLAGS]`
 * @param summary what the command does, in one sentence or two
 * @param fields its flags, besides `--help`
 */
export function formatHelp(usage: string, summary: string, fields: readonly FlagField[]): string {
  const groups = new Map<string, [string, string][]>();
  const rest: [string, string][] = [];
  for (const field of fields) {
    const rows = field.group === undefined ? rest : groups.get(field.group) ?? [];
    if (field.group !== undefined) groups.set(field.group, rows);
    rows.push(describeFlag(field));
  }
  rest.push(["--help", "Print this, and stop."]);
  groups.set(groups.size === 0 ? "Flags" : "Other", rest);
  const margin = Math.max(...[...groups.values()].flat().map(([name]) => name.length)) + 4;
  const sections = [...groups].flatMap(([group, rows]) => [
    "",
    `${group}:`,
    ...rows.flatMap(([name, text]) =>
      wrap(text, 100 - margin).map((line, row) => `${(row === 0 ? `  ${name}` : "").padEnd(margin)}${line}`)
    ),
  ]);
  return [`Usage: ${usage}`, "", ...wrap(summary, 100), ...sections].join("\n");
}
