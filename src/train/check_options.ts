/**
 * Checks the options of training and of recalibration.
 *
 * @module
 */
import { anyCount, checkNumbers, checkWords, positiveCount, seedRule } from "../checks.ts";
import { ConfigError } from "../errors.ts";
import { augmentations } from "../plan/images.ts";
import type { OptimizerSettings } from "../plan/optimizer.ts";
import type { RecalibrateSettings } from "./recalibrate.ts";
import type { TrainOptions } from "./phase.ts";

const share = { atLeast: 0, below: 1 }, positive = { above: 0 }, notNegative = { atLeast: 0 };

/** The options to check. Of the validation examples only their presence matters. */
type CheckedOptions = Omit<TrainOptions, "validation" | "slots" | "choose"> & {
  readonly hasValidation: boolean;
};

/**
 * Checks the options of a phase of training.
 *
 * @throws {ConfigError} If a value is not possible, or what it needs was not given, so that it would do nothing.
 */
export function checkTrainOptions(options: CheckedOptions): void {
  const act = "train with", { distillation, earlyStopping } = options;
  checkNumbers(act, {
    epochs: [options.epochs, positiveCount],
    batch: [options.batch, positiveCount],
    accumulate: [options.accumulate, positiveCount],
    learningRate: [options.learningRate, notNegative],
    seed: [options.seed, seedRule],
    labelSmoothing: [options.labelSmoothing, share],
    cutout: [options.cutout, anyCount],
    mixup: [options.mixup, notNegative],
    firstEpoch: [options.firstEpoch, seedRule],
    stepsPerReading: [options.stepsPerReading, positiveCount],
    "distillation.share": [distillation?.share, { atLeast: 0, atMost: 1 }],
    "distillation.temperature": [distillation?.temperature, positive],
    "distillation.featureWeight": [distillation?.featureWeight, notNegative],
    "earlyStopping.patience": [earlyStopping?.patience, anyCount],
  });
  checkWords(act, {
    augmentation: [options.augmentation, augmentations],
    recalibration: [options.recalibration, ["none", "plain", "augmented"]],
    "earlyStopping.measure": [earlyStopping?.measure, ["accuracy", "loss"]],
    "distillation.featureMaps": [distillation?.featureMaps, ["last", "stages"]],
  });
  checkOptimizer(options.optimizer);
  checkCompanions(options);
}

/** @throws {ConfigError} If a number of an optimizer is not possible. */
function checkOptimizer(optimizer: OptimizerSettings): void {
  const act = "train with", { kind, weightDecay, l1, clipNorm, clipValue } = optimizer;
  checkWords(act, { "optimizer.kind": [kind, ["sgd", "adam", "adamw"]] });
  checkNumbers(act, {
    "optimizer.weightDecay": [weightDecay, notNegative],
    "optimizer.l1": [l1, notNegative],
    "optimizer.clipNorm": [clipNorm, positive],
    "optimizer.clipValue": [clipValue, positive],
    ...(kind === "sgd" ? { "optimizer.momentum": [optimizer.momentum, share] as const } : {
      "optimizer.beta1": [optimizer.beta1, share] as const,
      "optimizer.beta2": [optimizer.beta2, share] as const,
      "optimizer.epsilon": [optimizer.epsilon, positive] as const,
    }),
  });
}

/** Refuses options that have no effect without another option. */
function checkCompanions(options: CheckedOptions): void {
  const { distillation, reconstruction, teacher, earlyStopping, hasValidation } = options;
  const refuse = (thing: string, current: string, wanted: string) => {
    throw new ConfigError({ act: "train with", thing, current, wanted });
  };
  if (!(distillation ?? reconstruction) !== !teacher) {
    refuse("distillation", `${distillation ? "no" : "only a"} teacher`, "both or neither");
  }
  if (!earlyStopping === hasValidation) {
    refuse("earlyStopping", `${earlyStopping ? "no" : "only"} validation examples`, "both or neither");
  }
}

/** @throws {ConfigError} If a value is not possible. */
export function checkRecalibration(
  { batch, seed, augmentation, cutout, maxBatches }: RecalibrateSettings,
): void {
  const act = "recalibrate with";
  checkNumbers(act, {
    batch: [batch, positiveCount],
    seed: [seed, seedRule],
    cutout: [cutout, anyCount],
    maxBatches: [maxBatches, positiveCount],
  });
  checkWords(act, { augmentation: [augmentation, augmentations] });
}
