/**
 * What a configuration says of pruning, as a model takes it.
 *
 * @module
 */
import { type PruneConfig, readGranularity, readNames } from "../config.ts";
import type { Graph } from "../model/graph.ts";
import { summarizeModel } from "../model/summary.ts";
import { type Criterion, scoredTensors } from "../prune/criteria.ts";
import type { CriterionModel } from "../prune/criteria/criterion.ts";
import { signalToNoiseAt } from "../prune/confidence.ts";
import { type CostKind, denseCostOf, type PruneGoal } from "../prune/goal.ts";
import { checkRemoval, type RemovalOptions } from "../prune/removal.ts";
import type { ModelRecalibrateOptions, ScoreOptions } from "./model_options.ts";

/** The goal that a configuration names; a target below 1 is a fraction of the whole network's cost. */
export function goalOf(config: PruneConfig, graph: Graph): PruneGoal {
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
  return { cost, most: target < 1 ? target * denseCostOf(summarizeModel(graph))[cost] : target };
}

/** Which weights may go by a configuration. */
export function removalOf(
  { granularity: text, scope, floor, roundTo, protect, perCost }: PruneConfig,
): RemovalOptions {
  const granularity = readGranularity(text)!;
  const isPattern = typeof granularity === "object" && "keep" in granularity;
  const common = { scope, floor, roundTo, perCost, protect: readNames(protect) };
  return isPattern ? common : { granularity, ...common };
}

/**
 * Refuses what a configuration asks of a model that has not what it takes, before anything is trained for it.
 *
 * @throws {ConfigError} Where a protected layer is none, or the criterion scores no layer.
 */
export function checkPrunable(model: CriterionModel, config: PruneConfig): void {
  checkRemoval(model.layout, removalOf(config));
  scoredTensors(model, config.criterion);
}

/** True where a configuration has the temperature chosen before each removal by a criterion. */
export function isTempered({ posteriorTemperature }: PruneConfig, criterion: Criterion): boolean {
  return posteriorTemperature === "auto" && criterion === "confidence";
}

/**
 * How weights are scored by a criterion, for parameters that were trained on so many examples; at temperature 1 where it
 * is to be chosen yet.
 */
export function scoringOf(
  { prior, posteriorTemperature, fisher, seed }: PruneConfig,
  { criterion, examples }: { readonly criterion: Criterion; readonly examples: number },
): ScoreOptions {
  // Other criteria need the gradients of the given labels.
  const usesFisher = criterion === "confidence" || criterion === "obd";
  const temperature = posteriorTemperature === "auto" ? 1 : posteriorTemperature;
  return { criterion, examples, prior, temperature, seed, ...(usesFisher ? { fisher } : {}) };
}

/** How batch norm's statistics are measured anew after a removal, if they are. */
export function recalibrationOf(
  { recalibratePruned, cutout, batch, seed }: PruneConfig,
  augmentation: NonNullable<ModelRecalibrateOptions["augmentation"]>,
): ModelRecalibrateOptions | undefined {
  if (recalibratePruned === "none") return undefined;
  return recalibratePruned === "plain" ? { batch, seed } : { batch, seed, cutout, augmentation };
}
