/**
 * What a configuration says of training, as training takes it.
 *
 * @module
 */
import { type PruneConfig, readMilestones } from "../config.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Augmentation } from "../plan/images.ts";
import { adam, type OptimizerSettings, type Regularization, sgd } from "../plan/optimizer.ts";
import {
  averagedFrom,
  constantRate,
  cosineRate,
  oneCycleRate,
  type RateShare,
  rewoundTo,
  type Schedule,
  stepRate,
  warmedUp,
} from "../train/schedule.ts";
import type { TrainSettings } from "../train/settings.ts";

/** The optimizer that a configuration names. */
export function optimizerOf(config: PruneConfig): OptimizerSettings {
  const { optimizer, momentum, weightDecay, l1, decayBias, clipNorm, clipValue } = config;
  const regularization: Regularization = {
    ...(l1 > 0 ? { l1 } : {}),
    ...(decayBias ? {} : { decayBias }),
    ...(clipNorm > 0 ? { clipNorm } : {}),
    ...(clipValue > 0 ? { clipValue } : {}),
  };
  if (optimizer === "adam" || optimizer === "adamw") {
    return adam({ kind: optimizer, weightDecay, ...regularization });
  }
  const isPlain = optimizer === "sgd", nesterov = optimizer === "nesterov";
  return sgd({ momentum: isPlain ? 0 : momentum, nesterov, weightDecay, ...regularization });
}

/** The schedule of training, or of a fine-tuning that goes back to a part of it. */
export function scheduleOf(config: PruneConfig, phase: "train" | "finetune"): Schedule {
  const { milestones, gamma, rateFloor: floor, peakAt, warmup, rewind, averaging } = config;
  const rates: Readonly<Record<PruneConfig["schedule"], RateShare>> = {
    constant: constantRate,
    step: stepRate({ milestones: readMilestones(milestones), gamma }),
    cosine: cosineRate({ floor }),
    "one-cycle": oneCycleRate({ peakAt }),
  };
  const rate = warmup > 0 ? warmedUp(rates[config.schedule], warmup) : rates[config.schedule];
  return {
    learningRateShare: phase === "train" ? rate : rewoundTo(rate, rewind),
    averagedCount: averaging === "none" ? () => 0 : averagedFrom(config.averageFrom),
    ...(averaging === "ema" ? { emaDecay: config.emaDecay } : {}),
  };
}

/** How training images are varied. */
export function augmentationOf(
  { augment }: Pick<PruneConfig, "augment">,
  { channels }: Pick<Dataset, "channels">,
): Augmentation {
  if (augment !== "auto") return augment;
  return channels === 3 ? "flip" : "none";
}

/** What all phases of a run share, for images of so many channels. */
export function trainingOf(
  config: PruneConfig,
  dataset: Pick<Dataset, "channels">,
): Omit<TrainSettings, "epochs" | "schedule"> {
  const { batch, accumulate, learningRate, seed, labelSmoothing, cutout, validation, patience, stopOn } =
    config;
  return {
    batch,
    accumulate,
    learningRate,
    optimizer: optimizerOf(config),
    seed,
    labelSmoothing,
    augmentation: augmentationOf(config, dataset),
    cutout,
    mixup: config.mixup,
    recalibration: config.recalibrate,
    ...(validation > 0 ? { earlyStopping: { patience, measure: stopOn } } : {}),
  };
}
