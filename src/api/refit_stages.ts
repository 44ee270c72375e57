/**
 * The stages of pruning with refits on a model.
 *
 * @module
 */
import { selectionSteps as usualSteps } from "../config/prune.ts";
import { ConfigError } from "../errors.ts";
import { removedAt } from "../prune/goal.ts";
import { type RefitStages, stagesTo } from "../prune/refit/prune_with_refit.ts";
import type { RefitSettings } from "../prune/refit/settings.ts";
import type { CallOptions } from "../train/call_options.ts";
import type { ModelCore } from "./model_core.ts";
import type { PruneWithRefitOptions } from "./model_options.ts";
import { removeWeights, scoreModel } from "./score_model.ts";

/**
 * What removes weights of a model before each stage, and how the others are refitted.
 *
 * @throws {ConfigError} If stages do not end at the sparsity, or layers are to choose single weights of groups.
 */
export function refitStages(
  core: ModelCore,
  options: PruneWithRefitOptions,
): Partial<RefitSettings> & RefitStages & CallOptions {
  const { calibration, sparsity, stages = stagesTo(sparsity), scoring, onStage, ...others } = options;
  const { granularity = "element", scope, floor, roundTo, perCost, protect, madeBy, ...settings } = others;
  const { selectionSteps = granularity === "element" ? usualSteps.obs : usualSteps.score } = settings;
  const refuse = (thing: string, current: string, wanted: string): never => {
    throw new ConfigError({ act: "prune with refit to", thing, current, wanted });
  };
  if (stages.at(-1) !== sparsity) {
    refuse(`${sparsity}`, `stages [${stages.join(", ")}]`, "it as the last of them");
  }
  if (granularity !== "element" && selectionSteps > 0) {
    const units = typeof granularity === "string" ? `${granularity}s` : "blocks";
    refuse(units, `${selectionSteps} steps of selection`, "0, since they choose single weights");
  }
  const removal = { granularity, scope, floor, roundTo, perCost, protect, madeBy };
  return {
    ...settings,
    selectionSteps,
    sparsities: stages,
    onStage,
    async remove(stage) {
      await scoreModel(core, calibration, {
        by: "magnitude",
        examples: 1,
        signal: options.signal,
        ...scoring,
      });
      await removeWeights(core, removedAt(stage, core.network.layout.prunableCount), removal);
    },
  };
}
