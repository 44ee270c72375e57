/**
 * What follows a removal and needs no training: kept weights are refitted, or batch norm's statistics measured anew.
 *
 * @module
 */
import type { PruneConfig } from "../config.ts";
import type { Split } from "../data/dataset.ts";
import type { Refit } from "../prune/refit/refit_network.ts";
import type { RunProgress } from "../train/settings.ts";
import type { Model } from "./model.ts";
import { recalibrationOf } from "./prune_options.ts";
import { augmentationOf } from "./training_of.ts";

/** The examples that a removal is followed up with. */
export interface SettlerExamples {
  readonly train: Split;
  readonly calibration: Split;
}

/** Steps in which each layer chooses its weights: six lose no less on validation images. */
const selectionSteps = 3;

/**
 * Follows up removals as a configuration says. With a refit, what is wanted is the network as training last left it:
 * call `prepare` before a removal and `forget` after training. Dispose of it to free what it holds.
 */
export class Settler {
  readonly #model: Model;
  readonly #examples: SettlerExamples;
  readonly #onProgress: ((phase: string, progress: RunProgress) => void) | undefined;
  #refit: Refit | undefined;
  /** What is refitted, for progress. */
  #phase = "refit";

  /** @param onProgress Called for each layer whose weights are refitted. */
  constructor(
    model: Model,
    examples: SettlerExamples,
    onProgress?: (phase: string, progress: RunProgress) => void,
  ) {
    this.#model = model;
    this.#examples = examples;
    this.#onProgress = onProgress;
  }

  /** Takes the network as it is for what is wanted, where weights are to be refitted and nothing was taken yet. */
  async prepare({ replace, posterior, seed }: PruneConfig): Promise<void> {
    if (!replace) return;
    const onLayer = (step: number, steps: number) => this.#onProgress?.(this.#phase, { step, steps });
    const settings = { seed, selectionSteps: posterior === "layer" ? selectionSteps : 0, onLayer };
    this.#refit ??= await this.#model.openRefit(this.#examples.calibration, settings);
  }

  /** To be called where removed weights are back: layers that choose their own weights go on from what they had. */
  restored({ posterior }: PruneConfig): void {
    if (posterior === "layer") this.forget();
  }

  /**
   * Follows up a removal.
   *
   * @param phase What progress calls a refit.
   * @throws {NumericError} Where activations are not finite.
   */
  async settle(config: PruneConfig, phase = "refit"): Promise<void> {
    this.#phase = phase;
    if (config.replace) return void await this.#refit!.apply();
    const recalibration = recalibrationOf(config, augmentationOf(config, this.#model.task));
    if (recalibration) await this.#model.recalibrate(this.#examples.train, recalibration);
  }

  /**
   * Follows up a removal that is only tried. Kept weights are not refitted then: that takes minutes, and layers that choose
   * their own weights would go on from what was tried.
   */
  async settleTrial(config: PruneConfig): Promise<void> {
    if (!config.replace) await this.settle(config);
  }

  /** Frees the network that was wanted. */
  forget(): void {
    this.#refit?.[Symbol.dispose]();
    this.#refit = undefined;
  }

  [Symbol.dispose](): void {
    this.forget();
  }
}
