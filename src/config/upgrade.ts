/**
 * Configurations and reports of earlier versions. In version 1, keys stood side by side: each was the short name of a flag,
 * in camel case, with the text of a command line as its value. Version 2 was a tree as now, in which some keys stood
 * elsewhere, and whole parts said what did nothing beside the goal.
 *
 * @module
 */
import { isKeys, joinKeys, type Keys, keysAt, root } from "./nodes.ts";
import { valueAt } from "../schema_words.ts";
import { schema } from "./schema.ts";
import { configFlags, keysOfFlag } from "./words.ts";

/** Names of keys, and of values, from before refits had one name. */
const renamed: Readonly<
  Record<string, { readonly key: string; readonly values: Readonly<Record<string, string>> }>
> = {
  refit: { key: "refit", values: { true: "layers" } },
  replace: { key: "refit", values: { true: "layers" } },
  posterior: { key: "selection", values: { diagonal: "score", layer: "obs" } },
};

/** Parts of the names of variants from then. */
const renamedParts: Readonly<Record<string, string>> = { replace: "refit", reselect: "obs" };

const fields = new Map(
  configFlags.filter(({ flag, kind }) => !flag.includes(".") && kind !== "part").map((field) => [
    field.flag.replaceAll(/-[a-z]/g, ([, letter]) => letter.toUpperCase()),
    field,
  ]),
);

/** What keys said where they said nothing: the tree has them in the branch alone that they belong to. */
const idle: Keys = {
  ...{ momentum: 0.9, milestones: "0.6", gamma: 0.25, rateFloor: 0, peakAt: 0.3, warmup: 0, emaDecay: 0.999 },
  ...{ averageFrom: 0.75, recalibrate: "augmented", patience: 0, stopOn: "accuracy", rewind: 0.75 },
  ...{ temperature: 4, distill: 0, distillFeatures: 0, distillMaps: "last", validation: 0 },
  ...{
    fisher: "batch",
    prior: "evidence",
    posteriorTemperature: 1,
    perCost: false,
    clipNorm: 0,
    clipValue: 0,
  },
};

/** True for a key that says nothing beside the others. */
function isIdle(key: string, value: unknown, { refit, granularity, averaging }: Keys): boolean {
  if (key === "selection") return !refit && value === "score";
  if (key === "refit") return value === false;
  if (key === "recalibratePruned") return refit === "layers" && value === "none";
  if (key === "roundTo") return value === 1 && granularity !== "channel";
  if (key === "recalibrate" && averaging === "none" && value === "none") return true;
  return Object.hasOwn(idle, key) && idle[key] === value;
}

/** True for keys that stand side by side: one of them is none of the tree, or is a name where the tree has keys. */
function isFlat(config: Keys): boolean {
  return Object.entries(config).some(([key, value]) =>
    Object.hasOwn(renamed, key) ||
    fields.has(key) && (!Object.hasOwn(root.properties!, key) || !isKeys(value)) && key !== "seed"
  );
}

/** Where keys of version 2 stand now. */
const moved: Readonly<Record<string, string>> = {
  "prune.rounds": "prune.goal.rounds",
  "prune.schedule": "prune.goal.schedule",
  "prune.allowedDrop": "validation.allowedDrop",
  "train.optimizer.clipNorm": "train.optimizer.clip.norm",
  "train.optimizer.clipValue": "train.optimizer.clip.value",
};

const nesterovPath = "train.optimizer.nesterov", kindPath = "train.optimizer.kind";

/** The value at a path such as `prune.rounds`. */
function read(config: Keys, path: string): unknown {
  return valueAt(config, path.split("."));
}

/** Keys of versions 1 and 2 that had a value where they did nothing: their paths, and those values. */
function listIdle(config: Keys): readonly (readonly [path: string, values: readonly unknown[]])[] {
  const goal = read(config, "prune.goal"), kinds = isKeys(goal) ? goal : {};
  return [
    ...("pattern" in kinds
      ? [
        ["prune.goal.schedule", ["one-shot", "gradual"]],
        ["prune.goal.rounds", [1]],
        ["prune.select.scope", ["global"]],
        ["prune.select.floor", [0]],
      ] as const
      : []),
    ...("confidence" in kinds
      ? [
        ["prune.goal.schedule", ["gradual"]],
        ["prune.select.scope", ["global"]],
        ["prune.select.perCost", [false]],
      ] as const
      : []),
    ...(kinds.schedule === "one-shot" ? [["prune.goal.rounds", [1]]] as const : []),
    ...(read(config, "prune.finetune.epochs") === 0 ? [["prune.finetune.rewind", [0.75]]] as const : []),
  ];
}

function withoutIdle(config: Keys): Keys {
  return listIdle(config).filter(([path, values]) => values.includes(read(config, path)))
    .reduce<Keys>((keys, [path]) => joinKeys(keys, keysAt(path, undefined), null), config);
}

/** True where a key may be laid at a path: nothing stands there, nor what is no part on the way. */
function isFree(config: Keys, path: string): boolean {
  const parents = path.split(".").map((_, i, keys) => keys.slice(0, i));
  return parents.every((parent) => isKeys(valueAt(config, parent) ?? {})) && read(config, path) === undefined;
}

/** Gives a tree of version 2 the shape of now; what cannot be moved stays, to be refused. */
function upgradeTree(config: Keys): Keys {
  const stood = Object.keys(moved).filter((path) =>
    read(config, path) !== undefined && isFree(config, moved[path])
  );
  const sets = stood.flatMap((path) => [keysAt(moved[path], read(config, path)), keysAt(path, undefined)]);
  const nesterov = read(config, nesterovPath), kind = read(config, kindPath) ?? "sgd";
  const kinds = typeof nesterov === "boolean" && kind === "sgd"
    ? [keysAt(nesterovPath, undefined), ...(nesterov ? [keysAt(kindPath, "nesterov")] : [])]
    : [];
  const all = [...sets, ...kinds];
  return all.length === 0
    ? config
    : withoutIdle(all.reduce<Keys>((keys, set) => joinKeys(keys, set, null), config));
}

/** Gives a configuration of an earlier version the shape of now; of one of now, keys that are undefined go. */
export function upgradeConfig(config: unknown): unknown {
  if (!isKeys(config)) return config;
  if (!isFlat(config)) return joinKeys({}, upgradeTree(config));
  const flat = Object.fromEntries(
    Object.entries(config).map(([key, value]) => {
      const to = renamed[key];
      // Beside the new key, the old one is one that there is not.
      return !to || key !== to.key && Object.hasOwn(config, to.key)
        ? [key, value]
        : [to.key, to.values[String(value)] ?? value];
    }),
  );
  const said = Object.entries(flat).filter(([key, value]) => !isIdle(key, value, flat));
  const unknown = said.filter(([key]) => !fields.has(key));
  const keys = [...fields].flatMap(([key, field]): readonly Keys[] => {
    const [, value] = said.find(([own]) => own === key) ?? [];
    if (value === undefined) return [];
    const isText = (field.kind === "numbers" || field.kind === "texts") && typeof value === "string";
    return [keysOfFlag(field, isText ? readListText(field.kind, value) : value)];
  });
  return joinKeys({}, {
    ...withoutIdle(keys.reduce((all, one) => joinKeys(all, one, null), {})),
    ...Object.fromEntries(unknown),
  });
}

function readListText(kind: string, text: string): readonly unknown[] {
  const parts = text.split(",").map((part) => part.trim());
  return kind === "texts" ? parts : parts.map((part) => part === "" ? NaN : Number(part));
}

/** Gives a report of an earlier version, and the configuration in it, the shape of now; what is none stays as it is. */
export function upgradeReport(report: unknown): unknown {
  if (!isKeys(report) || report.version !== 1 && report.version !== 2) return report;
  const config = upgradeConfig(report.config), complete = schema.safeParse(config);
  return {
    ...report,
    ...(report.version === 1 ? upgradeResults(report) : {}),
    version: 3,
    config: complete.success ? complete.data : config,
  };
}

/** Gives results of version 1 the shape of now. */
function upgradeResults({ cells, compaction }: Keys): Keys {
  const rename = (cell: unknown) => {
    if (!isKeys(cell) || typeof cell.variant !== "string") return cell;
    const [criterion, ...parts] = cell.variant.split("/");
    return { ...cell, variant: [criterion, ...parts.map((part) => renamedParts[part] ?? part)].join("/") };
  };
  // Times stand in a file of their own.
  const { latencyMs: _, ...timeless } = isKeys(compaction) ? compaction : {};
  return {
    ...(isKeys(compaction) ? { compaction: timeless } : {}),
    ...(Array.isArray(cells) ? { cells: cells.map(rename) } : {}),
  };
}
