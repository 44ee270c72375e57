/**
 * The keys of a configuration that say how a network is trained.
 *
 * @module
 */
import { z } from "zod";
import { mostShare, positive, zeroOrPositive, zeroOrPositiveWanted } from "./device_numbers.ts";

/** Epochs from random weights. */
export const defaultEpochs = 12;

/** What milestones are, in words. */
const milestonesWanted = "rising fractions in (0, 1), joined by commas";

/** Reads milestones, as `0.5,0.75`. */
export function readMilestones(text: string): readonly number[] {
  return text.split(",").map((part) => part.trim() === "" ? NaN : Number(part));
}

function isMilestones(text: string): boolean {
  const milestones = readMilestones(text);
  return milestones.every((milestone, i) => milestone > (milestones[i - 1] ?? 0) && milestone < 1);
}

/** Keys of the group "Training". */
export const trainingFields = {
  epochs: z.int().min(0).optional().meta({
    description:
      "Passes over the training examples before the first removal; with weights of a file 0 unless given.",
    default: defaultEpochs,
  }),
  batch: z.int().min(1).default(64).describe("Examples in one training step."),
  accumulate: z.int().min(1).default(1).describe(
    "Batches whose gradients are averaged for one step: a larger batch in less memory.",
  ),
  learningRate: positive.default(0.02).describe(
    "Step size that the schedule starts from or rises to.",
  ),
  optimizer: z.enum(["sgd", "momentum", "nesterov", "adam", "adamw"]).default("momentum").describe(
    "Rule that turns gradients into steps.",
  ),
  momentum: z.number().min(0).max(mostShare).default(0.9).describe(
    "Share of the last step that the next one keeps, under momentum and nesterov.",
  ),
  labelSmoothing: z.number().min(0).lt(1).default(0).describe(
    "Share of each label's probability that is spread over all classes.",
  ),
};

/** Keys of the group "Regularisation". */
export const regularizationFields = {
  weightDecay: zeroOrPositive.default(5e-4).meta({
    description: "Pull of every weight towards zero: decoupled under adamw, part of the gradient elsewhere.",
    wanted: zeroOrPositiveWanted,
  }),
  decayBias: z.boolean().default(true).describe(
    "Decay biases and batch norm's parameters too, as torch.optim does by default.",
  ),
  l1: zeroOrPositive.default(0).meta({
    description: "Pull of every weight towards zero by the same amount whatever its size (L1).",
    wanted: zeroOrPositiveWanted,
  }),
  clipNorm: zeroOrPositive.default(0).meta({
    description: "Most that the norm of all gradients together may be, 0 for any (Pascanu et al. 2013).",
    wanted: zeroOrPositiveWanted,
  }),
  clipValue: zeroOrPositive.default(0).meta({
    description: "Most that the size of each gradient may be, 0 for any.",
    wanted: zeroOrPositiveWanted,
  }),
  augment: z.enum(["auto", "none", "flip", "flip-crop"]).default("auto").describe(
    "Changes to training images: auto takes flip for colour images and none for grey ones.",
  ),
  cutout: z.int().min(0).default(0).describe(
    "Side in pixels of a square that each training image loses, 0 for none (DeVries and Taylor 2017).",
  ),
  mixup: zeroOrPositive.default(0).meta({
    description:
      "Alpha of the Beta distribution by which training images are mixed in pairs, 0 for none (Zhang et al. 2018).",
    wanted: zeroOrPositiveWanted,
  }),
};

/** Keys of the group "Schedule and averaging". */
export const scheduleFields = {
  schedule: z.enum(["constant", "step", "cosine", "one-cycle"]).default("step").describe(
    "How the learning rate moves over training (cosine: Loshchilov 2017, one-cycle: Smith 2018).",
  ),
  milestones: z.string().min(1).refine(isMilestones, milestonesWanted).default("0.6").meta({
    description: "Fractions of training at which schedule step lowers the rate, joined by commas.",
    wanted: milestonesWanted,
  }),
  gamma: z.number().gt(0).lt(1).default(0.25).describe(
    "Factor of the rate at each milestone of schedule step.",
  ),
  rateFloor: z.number().min(0).lt(1).default(0).describe(
    "Share of the learning rate at which schedule cosine ends.",
  ),
  peakAt: z.number().gt(0).lt(1).default(0.3).describe(
    "Fraction of training at which schedule one-cycle reaches the learning rate.",
  ),
  warmup: z.number().min(0).lt(1).default(0).describe(
    "Fraction of training over which the rate first rises to its schedule (Goyal et al. 2017).",
  ),
  averaging: z.enum(["none", "mean", "ema"]).default("mean").describe(
    "What a phase ends with: its last values, their mean (Izmailov et al. 2018), or an exponential one.",
  ),
  averageFrom: z.number().min(0).lt(1).default(0.75).describe(
    "Fraction of a phase from which on values are averaged.",
  ),
  emaDecay: z.number().min(1 - mostShare).max(mostShare).default(0.999).describe(
    "Share of the exponential mean that each step keeps, under averaging ema.",
  ),
  recalibrate: z.enum(["none", "plain", "augmented"]).default("augmented").describe(
    "Measure batch norm's statistics anew after averaging, on images as they are or as trained on.",
  ),
};

/** Keys of the group "Early stopping". */
export const stoppingFields = {
  patience: z.int().min(0).default(0).describe(
    "Epochs without a better one on the validation examples that end a phase, 0 for no end.",
  ),
  stopOn: z.enum(["accuracy", "loss"]).default("accuracy").describe(
    "What makes an epoch better on the validation examples.",
  ),
};
