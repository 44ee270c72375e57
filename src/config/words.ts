/**
 * Flags whose words stand for more than one value, or for another one than the key has.
 *
 * @module
 */
import { type ConfigField, describeConfig } from "./fields.ts";
import { largestPattern, selectionSteps } from "./prune.ts";
import { joinKeys, type Keys, keysAt, valuesByPath } from "./nodes.ts";
import { valueAt } from "../schema_words.ts";

/** A flag of words. */
export interface WordField extends ConfigField {
  /** The path of the key that it sets, or of one of those. */
  readonly at: string;
  /** The keys that a word sets; undefined for what is none. */
  readonly read: (text: string) => Keys | undefined;
}

/** What optimizers of other names are. */
const optimizers: Readonly<Record<string, Keys>> = {
  sgd: { kind: "sgd", momentum: 0 },
  momentum: { kind: "sgd" },
  nesterov: { kind: "nesterov" },
  adam: { kind: "adam" },
  adamw: { kind: "adamw" },
};

/** Reads what goes as one, or a pattern, as `2:4`; undefined where a text is none. */
export function readGranularity(text: string): string | Keys | undefined {
  if (text === "element" || text === "filter" || text === "channel") return text;
  const [, first, sign, second] = /^([1-9]\d{0,8})(x|:)([1-9]\d{0,8})$/.exec(text) ?? [];
  if (sign === "x") return { rows: Number(first), channels: Number(second) };
  const pattern = { keep: Number(first), of: Number(second) };
  return pattern.keep <= pattern.of && pattern.of <= largestPattern ? pattern : undefined;
}

/** The keys that a granularity sets: a pattern is a goal. */
function readGranularityFlag(text: string): Keys | undefined {
  const granularity = readGranularity(text);
  if (granularity === undefined) return undefined;
  const isPattern = typeof granularity === "object" && "keep" in granularity;
  return { prune: isPattern ? { goal: { pattern: granularity } } : { select: { granularity } } };
}

/** A number, or what else is no number, which the tree refuses. */
const readNumber = (text: string) => text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);

/** A flag of one of some words. */
function wordField(
  flag: string,
  at: string,
  { description, ...more }: Pick<ConfigField, "description"> & Partial<ConfigField>,
  read: WordField["read"],
): WordField {
  const { choices = [] } = more,
    group = at.slice(0, at.lastIndexOf(".")),
    wanted = `one of ${choices.join(", ")}`;
  return {
    key: flag,
    flag,
    at,
    group,
    kind: "choice",
    default: undefined,
    wanted,
    description,
    ...more,
    read,
  };
}

function targetField(flag: string, cost: string, what: string): WordField {
  const description =
    `Goal: maximum ${what} of the pruned network: below 1 a fraction of what there is, else a count.`;
  const more = { description, kind: "number", wanted: "a finite number, above 0" } as const;
  return wordField(
    flag,
    "prune.goal.max",
    more,
    (text) => ({ prune: { goal: { cost, max: readNumber(text) } } }),
  );
}

/** The flags of words. */
const wordFields: readonly WordField[] = [
  wordField("optimizer", "train.optimizer.kind", {
    description:
      "Rule that turns gradients into steps: sgd without momentum, with it, or with Nesterov's, or Adam.",
    choices: Object.keys(optimizers),
    default: "momentum",
  }, (text) => Object.hasOwn(optimizers, text) ? { train: { optimizer: optimizers[text] } } : undefined),
  targetField("target-parameters", "parameters", "trained numbers"),
  targetField("target-multiply-adds", "multiplyAdds", "multiply-adds for one image"),
  targetField("target-bytes", "bytes", "bytes of stored numbers"),
  wordField("posterior-temperature", "prune.score.temperature", {
    description:
      "Temperature of the posterior: divides the Fisher information, above 1 to trust the data less; auto takes the best on validation.",
    kind: "number",
    choices: ["auto"],
    default: 1,
    wanted: "auto or a finite number from 1e-12 to 1000000000000",
  }, (text) => ({ prune: { score: { temperature: text === "auto" ? "validation" : readNumber(text) } } })),
  wordField("granularity", "prune.select.granularity", {
    description:
      "What goes as one: single weights, filters, coupled channels, blocks RxC, or all but N of every M columns.",
    kind: "text",
    default: "element",
    wanted:
      `element, filter, channel, N:M such as 2:4 (N at most M, M at most ${largestPattern}), or RxC such as 4x4`,
  }, readGranularityFlag),
  wordField(
    "selection",
    "prune.after.refit.selectionSteps",
    {
      description:
        `With refit: what chooses the weights of a layer that go, their scores, or, of layers that lost some before, Optimal Brain Surgeon in ${selectionSteps.obs} steps; obs where single weights go.`,
      choices: Object.keys(selectionSteps),
    },
    (text) =>
      text === "score" || text === "obs"
        ? { prune: { after: { refit: { selectionSteps: selectionSteps[text] } } } }
        : undefined,
  ),
];

/** A key with the kinds that have it by the words of their flag, such as momentum, where it has others than the tree. */
function underWords(field: ConfigField): ConfigField {
  const { under = [] } = field;
  const words = wordFields.filter(({ group }) => group === field.group).flatMap((
    { at, choices = [], read },
  ) => choices.filter((word) => under.includes(String(valueAt(read(word), at.split("."))))));
  return words.length > 0 ? { ...field, under: words } : field;
}

/** Every key as a flag, in the tree's order, each behind the words that stand for it. */
export const configFlags: readonly (ConfigField | WordField)[] = describeConfig().flatMap((field) => [
  ...wordFields.filter(({ at }) => at === field.key),
  underWords(field),
]);

/** The path of the key that a flag sets, or of one of those. */
function getPath(field: ConfigField | WordField): string {
  return "at" in field ? field.at : field.key;
}

/** The keys that the value of a flag sets. What is no value of it stands at its path, to be refused. */
export function keysOfFlag(field: ConfigField | WordField, value: unknown): Keys {
  return "read" in field && field.read(String(value)) || keysAt(getPath(field), value);
}

/** The flags that were given, words that stand for several keys before the keys themselves, and the keys that each sets. */
function listGiven(values: Readonly<Record<string, unknown>>) {
  const given = configFlags.filter(({ key }) => values[key] !== undefined);
  const ordered = [
    ...given.filter((field) => "read" in field),
    ...given.filter((field) => !("read" in field)),
  ];
  return ordered.map((field) => {
    const value = values[field.key], isTaken = value === false && field.kind !== "boolean";
    const keys = isTaken ? keysAt(getPath(field), undefined) : keysOfFlag(field, value);
    return { name: `--${value === false ? "no-" : ""}${field.flag}`, keys };
  });
}

/** The keys that flags set, by the keys of their fields; false, of what is no boolean, takes a key away. */
export function keysOfFlags(values: Readonly<Record<string, unknown>>): Keys {
  return listGiven(values).reduce<Keys>((all, { keys }) => joinKeys(all, keys, null), {});
}

/** Says of a path which flag it was set by, or where else it was read. */
export function nameSource(
  values: Readonly<Record<string, unknown>>,
  others: string,
): (path: string) => string {
  const set = listGiven(values).map(({ name, keys }) => ({ name, paths: valuesByPath(keys) }));
  return (path) =>
    set.findLast(({ paths }) => paths.some(([own]) => path === own || path.startsWith(`${own}.`)))?.name ??
      others;
}
