/**
 * Where a run is, as a checkpoint holds it beside the parameters.
 *
 * @module
 */
import { z } from "zod";
import { type PruneConfig, pruneConfigSchema } from "../config.ts";
import { FormatError } from "../errors.ts";

/** JSON of any shape. */
export type Json = z.output<ReturnType<typeof z.json>>;

const count = z.int().min(0);

const stateSchema = z.strictObject({
  phase: z.string().min(1),
  round: count,
  epoch: count,
  step: count,
  steps: count,
  schedule: z.strictObject({ name: z.string().min(1), parameters: z.record(z.string(), z.number()) }),
  random: z.strictObject({ seed: count, firstEpoch: count }),
  config: z.custom<PruneConfig>(
    (value) => pruneConfigSchema.safeParse(value).success,
    "a run's configuration",
  ),
  results: z.json(),
}).refine(({ step, steps }) => step <= steps, { path: ["step"], message: "at most the steps of the phase" });

/** Where a run is. */
export interface CheckpointState {
  /** What it is doing, such as `train` or `fine-tune`. */
  readonly phase: string;
  /** The round of pruning, counted from 1; 0 before the first. */
  readonly round: number;
  /** Whole epochs of the phase that are done. */
  readonly epoch: number;
  /** Optimizer steps of the phase that are done. */
  readonly step: number;
  /** Steps of the phase in all, from which its schedule follows. */
  readonly steps: number;
  /** The learning-rate schedule of the phase, with its numbers. */
  readonly schedule: { readonly name: string; readonly parameters: Readonly<Record<string, number>> };
  /**
   * What random numbers follow from: batches and augmentation are drawn from the seed, the epochs of earlier phases and
   * the step, so that no generator has a state of its own.
   */
  readonly random: { readonly seed: number; readonly firstEpoch: number };
  /** The configuration of the run. */
  readonly config: PruneConfig;
  /** What the run has found out so far, for its report. */
  readonly results: Json;
}

/**
 * Checks where a run is.
 *
 * @throws {FormatError} Where it is no such state.
 */
export function parseState(value: unknown, act: string, name: string): CheckpointState {
  const parsed = stateSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  const thing = `${name}, state ${path.join(".")}`.trim(), wanted = "the state of a run";
  throw new FormatError({ act, thing, current: message, wanted });
}
