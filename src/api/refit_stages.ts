/**
 * The stages of pruning with refits on a model.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { removedAt } from "../prune/goal.ts";
import { type RefitStages, stagesTo } from "../prune/refit/prune_with_refit.ts";
import { type RefitSettings, usualSelectionSteps } from "../prune/refit/settings.ts";
import type { Split } from "../data/split.ts";
import type { RemovalOptions } from "../prune/select/removal.ts";
import type { PruneWithRefitOptions, ScoreOptions } from "./model_options.ts";

/** What stages need of a model. */
interface StagedModel {
  readonly network: { readonly layout: { readonly prunableCount: number } };
  score(calibration: Split, options: ScoreOptions): Promise<void>;
  remove(removed: number, options: RemovalOptions): Promise<unknown>;
}

/**
 * What removes weights of a model before each stage, and how the others are refitted.
 *
 * @throws {ConfigError} Where stages do not end at the sparsity, or layers are to choose single weights of groups.
 */
export function refitStages(
  model: StagedModel,
  options: PruneWithRefitOptions,
  choose: ProductChooser,
): Partial<RefitSettings> & RefitStages & { readonly choose: ProductChooser } {
  const { calibration, sparsity, stages = stagesTo(sparsity), scoring, onStage, ...others } = options;
  const { granularity = "element", scope, floor, roundTo, perCost, protect, madeBy, ...settings } = others;
  const { selectionSteps = granularity === "element" ? usualSelectionSteps : 0 } = settings;
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
    choose,
    sparsities: stages,
    onStage,
    async remove(stage) {
      await model.score(calibration, { criterion: "magnitude", examples: 1, ...scoring });
      await model.remove(removedAt(stage, model.network.layout.prunableCount), removal);
    },
  };
}
