/**
 * Which model a configuration names.
 *
 * @module
 */
import type { PruneConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import type { ModelSource } from "../api/load_model.ts";

/** The keys of a configuration that say which model to open. */
export type ModelKey = "model" | "weights" | "preset" | "mean" | "std";

/**
 * What the keys name.
 *
 * @throws {ConfigError} Where a list of numbers is none.
 */
export function modelSourceOf(
  { model, weights, preset, mean, std }: Pick<PruneConfig, ModelKey>,
): ModelSource {
  return {
    model,
    weights,
    preset,
    mean: parseNumbers("mean", mean),
    std: parseNumbers("std", std),
  };
}

/** Reads numbers with commas between them, such as `0.485,0.456,0.406`. */
function parseNumbers(flag: string, text: string | undefined): readonly number[] | undefined {
  if (text === undefined) return undefined;
  return text.split(",").map((part) => {
    const number = part.trim() === "" ? NaN : Number(part);
    if (Number.isFinite(number)) return number;
    const wanted = "a number a channel, with commas, such as 0.485,0.456,0.406";
    throw new ConfigError({ act: "use", thing: `--${flag}`, current: `"${text}"`, wanted });
  });
}
