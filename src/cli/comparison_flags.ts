/**
 * The flags of commands that compare: those of a prune run that say how to train and score, and lists.
 *
 * @module
 */
import { z } from "zod";
import type { Keys } from "../config/nodes.ts";
import { configFlags } from "../config/words.ts";
import type { EarlierRun, RunSources } from "./run_config.ts";
import { type FlagField, isAmong, type ParsedFlags } from "./flags.ts";

/** Branches and keys of a prune run's loop and output, which a comparison has not. */
const loopPaths = [
  ...["prune.goal", "prune.compare", "validation.allowedDrop", "train.distillation"],
  ...["output.compact", "output.store", "output.checkpointEvery"],
  ...["target-parameters", "target-multiply-adds", "target-bytes"],
];

/** What a comparison has of a configuration: not a prune run's loop and output, nor some other paths. */
export function comparing(
  others: readonly string[],
  defaults: Keys = {},
): Required<Pick<RunSources, "without" | "defaults">> {
  return { without: [...loopPaths, ...others], defaults };
}

/**
 * The flags of a prune run that a command has too.
 *
 * @param own What a command says otherwise of some, by their keys.
 */
export function sharedFields(
  { without = [] }: RunSources,
  own: Readonly<Record<string, Partial<FlagField>>> = {},
): readonly FlagField[] {
  return configFlags.filter(({ key }) => !isAmong(without, key)).map((field): FlagField => ({
    ...field,
    ...own[field.key],
  }));
}

/** What the cells of a report call one value of a list. */
const cellKeys = { variants: "variant", sparsities: "sparsity", seeds: "seed" } as const;

/** A list of which no value stands twice. */
export function makeListSchema<Item extends z.ZodType<string | number>>(
  item: Item,
  { preset, description, wanted }: {
    readonly preset: readonly (string | number)[];
    readonly description: string;
    readonly wanted: string;
  },
): z.ZodDefault<z.ZodArray<Item>> {
  const list = z.array(item).refine((values) => new Set(values).size === values.length);
  return list.default(preset as z.output<Item>[] & []).meta({
    description,
    wanted: `${wanted}, joined by commas, none of them twice`,
  });
}

/** The flag of the sparsities of a comparison. */
export function makeSparsitySchema(preset: readonly number[], description: string) {
  return makeListSchema(z.number().min(0).lt(1), { preset, description, wanted: "fractions in [0, 1)" });
}

/** The lists that were given, or that the report has which `--config` names, asked for or in its cells. */
export function listsGiven({ values }: ParsedFlags, earlier?: EarlierRun): Keys {
  const found = Object.entries(cellKeys).map(([key, cellKey]) =>
    [key, [
      ...new Set([
        ...earlier?.lists?.[key] ?? [],
        ...earlier?.cells?.map((cell) => cell[cellKey]).filter((value) => value !== undefined) ?? [],
      ]),
    ]] as const
  );
  return { ...Object.fromEntries(found.filter(([, list]) => list.length > 0)), ...values };
}
