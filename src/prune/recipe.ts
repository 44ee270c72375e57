/**
 * What one removal is: how weights are scored, which of them may go, what follows, and how much goes.
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

/** How the weights of a removal are scored. */
export interface RecipeScore {
  /** The criterion. */
  readonly by: Criterion;
  /** How the prior precision of the confidence is found. Default: `evidence`. */
  readonly prior?: Prior | undefined;
  /** How the Fisher information is estimated. Default: `batch`. */
  readonly fisher?: FisherEstimate | undefined;
  /**
   * What the examples' information is divided by in the confidence, above 0; or `validation`, which has it chosen before
   * each removal by the loss on the validation examples. Default: 1.
   */
  readonly temperature?: number | "validation" | undefined;
  /** Seed of the random criterion, and of drawn labels. Default: 0. */
  readonly seed?: number | undefined;
}

/**
 * What follows a removal and needs no training: kept weights are refitted, batch norm's statistics are measured anew, or
 * nothing. What is left out of the settings is as `Model.refit` and `Model.recalibrate` have it.
 */
export type AfterRemoval =
  | { readonly refit: Partial<RefitSettings> }
  | { readonly recalibrate: Partial<RecalibrateSettings> }
  | Readonly<Record<string, never>>;

/** One removal, whoever asks for it. */
export interface Recipe {
  /** How weights are scored. */
  readonly score: RecipeScore;
  /** Which weights may go, and in which units. */
  readonly select: RemovalOptions;
  /** What follows. */
  readonly after: AfterRemoval;
}

/**
 * How much one removal takes, what is removed already included: so many weights; what brings a cost down to `most`; those
 * whose score lies below a threshold, and then those back whose gradient asks for it; what a pattern takes; or nothing, so
 * that only what follows is done.
 */
export type Amount =
  | { readonly weights: number }
  | Extract<PruneGoal, { readonly cost: unknown }>
  | ThresholdAmount
  | Extract<PruneGoal, { readonly pattern: unknown }>
  | "nothing";

/** The weights below a threshold, as far as one removal may go. */
export interface ThresholdAmount {
  /** The score below which weights go. */
  readonly threshold: number;
  /** The score test above which removed weights come back. Default: none does. */
  readonly regrowAbove?: number | undefined;
  /** Weights that are removed already. */
  readonly removed: number;
  /** The most that may go beyond them. */
  readonly most: number;
  /** The share, in (0, 1], of those below the threshold that goes. */
  readonly share: number;
}

/** The weights that are to be removed in all, where so many kept ones lie below the threshold. */
export function weightsBelow({ removed, most, share }: ThresholdAmount, below: number): number {
  return removed + Math.ceil(share * Math.min(most, below));
}

/** What a removal came to. It is JSON. */
export interface Removal {
  /** What each layer keeps. */
  readonly layers: readonly LayerCount[];
  /** Removed weights that came back. */
  readonly regrown: number;
  /** With a threshold: the kept weights that lay below it before, however many of them went. */
  readonly below?: number;
  /** The temperature that was chosen, where one was. */
  readonly temperature?: TemperatureChoice;
}

/** The weights that are removed, in all. */
export function removedOf(layers: readonly Pick<LayerCount, "weights" | "kept">[]): number {
  return layers.reduce((sum, { weights, kept }) => sum + weights - kept, 0);
}
