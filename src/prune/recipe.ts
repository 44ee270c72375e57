/**
 * The recipe of one removal: how weights are scored, which may be removed, and what follows; and the amount.
 *
 * @module
 */
import type { RecalibrateSettings } from "../train/recalibrate.ts";
import type { FisherEstimate } from "./score/accumulate.ts";
import type { Prior } from "./score/confidence.ts";
import type { Criterion } from "./score/criteria.ts";
import type { PruneGoal } from "./goal.ts";
import type { LayerCount } from "./mask.ts";
import type { RefitSettings } from "./refit/settings.ts";
import type { RemovalOptions } from "./select/removal.ts";
import type { TemperatureChoice } from "./score/temperature.ts";

/** The scoring of a removal. */
export interface RecipeScore {
  /** The criterion. */
  readonly by: Criterion;
  /** The method for the prior precision of the confidence. Default: `evidence`. */
  readonly prior?: Prior | undefined;
  /** The estimate of the Fisher information. Default: `batch`. */
  readonly fisher?: FisherEstimate | undefined;
  /**
   * Temperature of the posterior, above 0: it divides the Fisher information in the confidence. `validation` chooses
   * it before each removal by the loss on the validation examples. Default: 1.
   */
  readonly temperature?: number | "validation" | undefined;
  /** Seed of the random criterion, and of drawn labels. Default: 0. */
  readonly seed?: number | undefined;
}

/**
 * What follows a removal, without training: a refit of the kept weights, recalibration of batch norm, or nothing.
 * Defaults are those of `Model.refit` and `Model.recalibrate`.
 */
export type AfterRemoval =
  | { readonly refit: Partial<RefitSettings> }
  | { readonly recalibrate: Partial<RecalibrateSettings> }
  | Readonly<Record<string, never>>;

/** The recipe of one removal. */
export interface Recipe {
  /** The scoring. */
  readonly score: RecipeScore;
  /** The weights that may be removed, and the units of removal. */
  readonly select: RemovalOptions;
  /** What follows. */
  readonly after: AfterRemoval;
}

/**
 * The amount of one removal, including what is removed already: a number of weights; as many as bring a cost down to
 * `max`; the weights with a score below a threshold, with regrowth; a pattern; or nothing, so that only the refit or
 * recalibration runs.
 */
export type Amount =
  | { readonly weights: number }
  | Extract<PruneGoal, { readonly cost: unknown }>
  | ThresholdAmount
  | Extract<PruneGoal, { readonly pattern: unknown }>
  | "nothing";

/** The weights below a threshold, limited for one removal. */
export interface ThresholdAmount {
  /** The score below which weights are removed. */
  readonly threshold: number;
  /** The score test above which removed weights come back. Default: no regrowth. */
  readonly regrowAbove?: number | undefined;
  /** Weights that are removed already. */
  readonly removed: number;
  /** Maximum number of weights to remove in addition. */
  readonly max: number;
  /** The share, in (0, 1], of the weights below the threshold to remove. */
  readonly share: number;
}

/** The total number of weights to remove, if so many kept ones lie below the threshold. */
export function weightsBelow({ removed, max, share }: ThresholdAmount, below: number): number {
  return removed + Math.ceil(share * Math.min(max, below));
}

/** The result of a removal. It is JSON. */
export interface Removal {
  /** What each layer keeps. */
  readonly layers: readonly LayerCount[];
  /** Removed weights that came back. */
  readonly regrown: number;
  /**
   * With a threshold: the kept weights that lay below it before, removed or not; of single weights without those that
   * did not lie there in the round before.
   */
  readonly below?: number;
  /** The chosen temperature, if one was chosen. */
  readonly temperature?: TemperatureChoice;
}

/** The number of removed weights. */
export function countRemovedWeights(layers: readonly Pick<LayerCount, "weights" | "kept">[]): number {
  return layers.reduce((sum, { weights, kept }) => sum + weights - kept, 0);
}
