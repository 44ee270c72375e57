/**
 * The configuration and the progress of a run, as a checkpoint holds them besides the parameters.
 *
 * @module
 */
import { z } from "zod";
import { describeRefusal } from "../schema_words.ts";
import { type RunConfig, runConfigSchema } from "../config/config.ts";
import { FormatError } from "../errors.ts";

/** JSON of any shape. */
export type Json = z.output<ReturnType<typeof z.json>>;

const stateSchema = z.strictObject({
  config: z.custom<RunConfig>(
    (value) => runConfigSchema.safeParse(value).success,
    "a run's configuration",
  ),
  results: z.json(),
});

/** The configuration and the progress of a run. */
export interface CheckpointState {
  /** The configuration of the run. */
  readonly config: RunConfig;
  /** The results so far, and the state of training. */
  readonly results: Json;
}

/**
 * Checks the state of a run.
 *
 * @throws {FormatError} If it is no such state.
 */
export function parseState(value: unknown, act: string, name: string): CheckpointState {
  const parsed = stateSchema.safeParse(value);
  if (parsed.success) return { ...parsed.data, config: runConfigSchema.parse(parsed.data.config) };
  const { at, current, wanted = "the state of a run" } = describeRefusal(stateSchema, value, parsed.error);
  throw new FormatError({ act, thing: `${name}, state ${at}`.trim(), current, wanted });
}
