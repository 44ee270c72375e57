/**
 * What a configuration says of pruning: its recipe and its goal.
 *
 * @module
 */
import { type PruneConfig, readGranularity, readNames } from "../config.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Graph } from "../model/graph.ts";
import { summarizeModel } from "../model/summary.ts";
import { signalToNoiseAt } from "../prune/score/confidence.ts";
import { type Criterion, readsFisher, scoredTensors } from "../prune/score/criteria.ts";
import type { CriterionModel } from "../prune/score/criterion.ts";
import { type CostKind, denseCostOf } from "../prune/cost.ts";
import type { PruneGoal } from "../prune/goal.ts";
import type { AfterRemoval, Recipe } from "../prune/recipe.ts";
import { usualSelectionSteps } from "../prune/refit/settings.ts";
import { checkRemoval } from "../prune/select/removal.ts";
import { augmentationOf } from "./read_training.ts";

/** Reads the goal; a target below 1 is a fraction of the whole network's cost. */
export function readGoal(config: PruneConfig, graph: Graph): PruneGoal {
  const granularity = readGranularity(config.granularity)!;
  if (typeof granularity === "object" && "keep" in granularity) return { pattern: granularity };
  if (config.confidence !== undefined) {
    const regrowAbove = config.regrow === undefined ? undefined : signalToNoiseAt(config.regrow);
    return { threshold: signalToNoiseAt(config.confidence), regrowAbove };
  }
  const { targetParameters: parameters, targetMultiplyAdds: multiplyAdds, targetBytes: bytes } = config;
  const targets = Object.entries({ parameters, multiplyAdds, bytes }) as [CostKind, number | undefined][];
  const [[cost, target] = []] = targets.filter(([, target]) => target !== undefined);
  if (cost === undefined || target === undefined) return { sparsity: config.sparsity! };
  const most = target < 1 ? target * denseCostOf(summarizeModel(graph))[cost] : target;
  return { cost, most, ...(config.store === "sparse" ? { isSparse: true } : {}) };
}

/** Reads the recipe of each removal, for images of so many channels; by the configuration's criterion or another. */
export function readRecipe(
  config: PruneConfig,
  images: Pick<Dataset, "channels">,
  by: Criterion = config.criterion,
): Recipe {
  const { prior, fisher, posteriorTemperature, seed } = config;
  const isChosen = posteriorTemperature === "auto" && by === "confidence";
  const temperature = isChosen ? "validation" : posteriorTemperature === "auto" ? 1 : posteriorTemperature;
  const { scope, floor, roundTo, perCost, protect } = config,
    granularity = readGranularity(config.granularity)!;
  const isPattern = typeof granularity === "object" && "keep" in granularity;
  return {
    // Other criteria need the gradients of the given labels.
    score: { by, prior, temperature, seed, ...(readsFisher(by) ? { fisher } : {}) },
    select: {
      ...(isPattern ? {} : { granularity }),
      ...{ scope, floor, roundTo, perCost, protect: readNames(protect) },
    },
    after: readAfter(config, images),
  };
}

function readAfter(
  { refit, selection, recalibratePruned, batch, seed, cutout, augment }: PruneConfig,
  images: Pick<Dataset, "channels">,
): AfterRemoval {
  if (refit) return { refit: { seed, selectionSteps: selection === "obs" ? usualSelectionSteps : 0 } };
  if (recalibratePruned === "none") return {};
  if (recalibratePruned === "plain") return { recalibrate: { batch, seed } };
  return { recalibrate: { batch, seed, cutout, augmentation: augmentationOf({ augment }, images) } };
}

/**
 * Refuses a recipe for a model that has not what it takes, before anything is trained for it.
 *
 * @throws {ConfigError} Where a protected layer is none, or the criterion scores no layer.
 */
export function checkPrunable(model: CriterionModel, { score, select }: Recipe): void {
  checkRemoval(model.layout, select);
  scoredTensors(model, score.by);
}
