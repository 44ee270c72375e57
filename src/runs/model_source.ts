/**
 * Which model a configuration names.
 *
 * @module
 */
import type { RunConfig } from "../config/config.ts";
import type { ModelSource } from "../api/load_model.ts";

/** What the branch `model` names. */
export function readModelSource({ source, ...others }: RunConfig["model"]): ModelSource {
  return { model: source, ...others };
}
