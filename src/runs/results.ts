/**
 * What a checkpoint of a run holds beside the device's arenas, and whether it is of the run that goes on.
 *
 * @module
 */
import { z } from "zod";
import type { RunConfig } from "../config/config.ts";
import { valuesByPath } from "../config/nodes.ts";
import { ConfigError, FormatError } from "../errors.ts";
import type { Checkpoint } from "../io/checkpoint.ts";
import { describeRefusal } from "../schema_words.ts";

const count = z.int().min(0);
const validation = { accuracy: z.number(), loss: z.number() };
const trainStateSchema = z.strictObject({
  epoch: count,
  step: count,
  steps: count,
  tally: z.strictObject({ lossSum: z.number(), correct: count, count }),
  epochs: z.array(z.strictObject({
    loss: z.number(),
    accuracy: z.number(),
    validation: z.strictObject(validation).exactOptional(),
  })),
  best: z.strictObject({ epoch: count, ...validation }).optional(),
});
const resultsSchema = z.strictObject({
  /** What must be the same for the same bits beside the configuration, by name. */
  surroundings: z.record(z.string(), z.union([z.string(), z.number()])),
  /** How matrix products were computed, by `shapeKey`. */
  choices: z.record(
    z.string(),
    z.strictObject({
      core: z.string(),
      splits: z.int().min(1),
      path: z.enum(["storage", "texture"]).optional(),
    }),
  ),
  steps: z.array(z.strictObject({ name: z.string(), result: z.json() })),
  /** The phase of training under way. */
  training: z.strictObject({ name: z.string(), state: trainStateSchema }).optional(),
});

/** What a run has done so far, and what it is. */
export type RunResults = z.output<typeof resultsSchema>;

/**
 * Paths of a configuration that do not change what a run comes to; the contents of the files that some of them name are
 * compared instead.
 */
const freeKeys: ReadonlySet<string> = new Set([
  ...["output.folder", "output.force", "output.checkpointEvery"],
  ...["data.folder", "model.source", "model.weights", "train.distillation.teacher"],
]);

/** The values of a configuration by their paths, such as `train.batch`. */
export function flattenConfig(config: RunConfig): Readonly<Record<string, unknown>> {
  return Object.fromEntries(valuesByPath(config));
}

/**
 * Compares what a run is told with what the run was told that it goes on with.
 *
 * @param alsoFree Other keys that do not change what it comes to.
 * @throws {ConfigError} Where something that changes results differs, with old and new value.
 */
export function checkSame(
  what: { readonly act: string; readonly thing: string },
  before: Readonly<Record<string, unknown>>,
  now: typeof before,
  alsoFree: readonly string[] = [],
): void {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])].filter((key) =>
    !freeKeys.has(key) && !alsoFree.includes(key)
  );
  const text = (value: unknown) => value === undefined ? "absent" : JSON.stringify(value);
  const quote = (value: unknown) => text(value).length > 60 ? `${text(value).slice(0, 57)}...` : text(value);
  const differing = keys.filter((key) => text(before[key]) !== text(now[key]));
  if (differing.length === 0) return;
  const current = differing.map((key) => `${key} was ${quote(before[key])} and is ${quote(now[key])}`).join(
    "; ",
  );
  throw new ConfigError({ ...what, current, wanted: "what the run was started with" });
}

/** The results in a checkpoint. @throws {FormatError} Where they are not those of a run. */
export function readResults({ state }: Checkpoint, path: string): RunResults {
  const parsed = resultsSchema.safeParse(state.results);
  // As they stand there: parsing would bring keys into the schema's order, and reports hold them.
  if (parsed.success) return structuredClone(state.results) as RunResults;
  const { at, current, wanted } = describeRefusal(resultsSchema, state.results, parsed.error);
  throw new FormatError({
    act: "resume from",
    thing: path,
    current: `${at}: ${current}`,
    wanted: wanted ?? "the results of a run",
  });
}
