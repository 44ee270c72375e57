/**
 * Translates the configuration of pruning into a goal and a recipe.
 *
 * @module
 */
import type { RunConfig } from "../config/config.ts";
import { autoConfidence } from "../config/prune.ts";
import { scoreBy } from "../config/schema.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Graph } from "../model/graph.ts";
import { summarizeModel } from "../model/summary.ts";
import { signalToNoiseAt } from "../prune/score/confidence.ts";
import { type Criterion, readsFisher, scoredTensors } from "../prune/score/criteria.ts";
import type { CriterionModel } from "../prune/score/criterion.ts";
import type { PruneGoal } from "../prune/goal.ts";
import { computeDenseCost } from "../prune/cost.ts";
import type { AfterRemoval, Recipe } from "../prune/recipe.ts";
import { checkRemoval } from "../prune/select/removal.ts";
import { readAugmentation } from "./read_training.ts";

/** Reads the goal: a confidence as a signal to noise, and a cost below 1 as a fraction of the whole network's. */
export function readGoal({ prune: { goal }, output }: RunConfig, graph: Graph): PruneGoal {
  if ("confidence" in goal) {
    const regrowAbove = "regrow" in goal ? signalToNoiseAt(goal.regrow) : undefined;
    const confidence = goal.confidence === "auto" ? autoConfidence : goal.confidence;
    return { threshold: signalToNoiseAt(confidence), regrowAbove };
  }
  if ("pattern" in goal) return { pattern: goal.pattern };
  if ("sparsity" in goal) return { sparsity: goal.sparsity };
  const max = goal.max < 1 ? goal.max * computeDenseCost(summarizeModel(graph))[goal.cost] : goal.max;
  return { cost: goal.cost, max, ...(output.store === "sparse" ? { isSparse: true } : {}) };
}

/** Reads the recipe of each removal, for images of so many channels; by the configuration's criterion or another. */
export function readRecipe(
  config: RunConfig,
  images: Pick<Dataset, "channels">,
  by: Criterion = config.prune.score.by,
): Recipe {
  const { seed, prune: { score, select } } = config;
  const own = typeof by === "object" && readsFisher(by) && "fisher" in score ? { fisher: score.fisher } : {};
  const scored = typeof by === "string" ? scoreBy(score, by) : { by, ...own };
  return { score: { ...scored, seed }, select, after: readAfter(config, images) };
}

function readAfter(
  { seed, train, prune: { after } }: RunConfig,
  images: Pick<Dataset, "channels">,
): AfterRemoval {
  if ("refit" in after) {
    return { refit: { seed, augmentation: readAugmentation(train, images), ...after.refit } };
  }
  const { batch, cutout } = train;
  if (after.recalibrate === "none") return {};
  if (after.recalibrate === "plain") return { recalibrate: { batch, seed } };
  return { recalibrate: { batch, seed, cutout, augmentation: readAugmentation(train, images) } };
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
