/**
 * What a run is and has done, as a checkpoint holds it beside the parameters.
 *
 * @module
 */
import { z } from "zod";
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

/** What a run is and has done. */
export interface CheckpointState {
  /** The configuration of the run. */
  readonly config: RunConfig;
  /** What the run has found out so far, and where its training is. */
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
  const { path, message } = parsed.error.issues[0];
  const thing = `${name}, state ${path.join(".")}`.trim(), wanted = "the state of a run";
  throw new FormatError({ act, thing, current: message, wanted });
}
