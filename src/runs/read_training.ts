/**
 * Translates the configuration of training into options of training.
 *
 * @module
 */
import type { OptimizerConfig, RunConfig } from "../config/config.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Distillation } from "../plan/distillation.ts";
import type { Augmentation } from "../plan/images.ts";
import type { OptimizerSettings } from "../plan/optimizer.ts";
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
import type { TrainSettings } from "../train/phase.ts";

/** The share of the learning rate by a schedule. */
function readRate(schedule: RunConfig["train"]["schedule"]): RateShare {
  if (schedule.kind === "one-cycle") return oneCycleRate(schedule);
  const rate = schedule.kind === "step"
    ? stepRate(schedule)
    : schedule.kind === "cosine"
    ? cosineRate(schedule)
    : constantRate;
  return schedule.warmup > 0 ? warmedUp(rate, schedule.warmup) : rate;
}

/** The schedule of training, or of a fine-tuning that goes back to a part of it. */
export function readSchedule({ train, prune }: RunConfig, phase: "train" | "finetune"): Schedule {
  const { schedule, averaging } = train, { finetune } = prune, rate = readRate(schedule);
  return {
    learningRateShare: phase === "finetune" && "rewind" in finetune ? rewoundTo(rate, finetune.rewind) : rate,
    averagedCount: averaging.kind === "none" ? () => 0 : averagedFrom(averaging.from),
    ...(averaging.kind === "ema" ? { emaDecay: averaging.decay } : {}),
  };
}

/** How training images are varied: colour images are flipped where nothing is said. */
export function readAugmentation(
  { augmentation }: Pick<RunConfig["train"], "augmentation">,
  { channels }: Pick<Dataset, "channels">,
): Augmentation {
  if (augmentation !== "auto") return augmentation;
  return channels === 3 ? "flip" : "none";
}

/** The rule that turns gradients into steps. */
function readOptimizer({ clip, ...optimizer }: OptimizerConfig): OptimizerSettings {
  const clips = !clip ? {} : "norm" in clip ? { clipNorm: clip.norm } : { clipValue: clip.value };
  return "beta1" in optimizer
    ? { ...optimizer, ...clips }
    : { ...optimizer, kind: "sgd", nesterov: optimizer.kind === "nesterov", ...clips };
}

/** What is learned from a teacher, where anything is. */
export function readDistillation({ train: { distillation } }: RunConfig): Distillation | undefined {
  if (!distillation) return undefined;
  const { share, temperature, features } = distillation;
  return { share, temperature, featureWeight: features?.weight, featureMaps: features?.maps };
}

/** What all phases of a run share, for images of so many channels. */
export function readTraining(
  { seed, train, validation }: RunConfig,
  dataset: Pick<Dataset, "channels">,
): Omit<TrainSettings, "epochs" | "schedule"> {
  const { batch, accumulate, learningRate, labelSmoothing, cutout, mixup, optimizer, averaging } = train;
  return {
    ...{ batch, accumulate, learningRate, labelSmoothing, cutout, mixup, seed },
    optimizer: readOptimizer(optimizer),
    augmentation: readAugmentation(train, dataset),
    ...(averaging.kind === "none" ? {} : { recalibration: averaging.recalibrate }),
    ...(validation ? { earlyStopping: { patience: validation.patience, measure: validation.measure } } : {}),
  };
}
