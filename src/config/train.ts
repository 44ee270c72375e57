/**
 * How a network is trained: the branch `train` of a configuration.
 *
 * @module
 */
import { z } from "zod";
import { isWeightsPath } from "../files.ts";
import { maxShare, positive, zeroOrPositive, zeroOrPositiveWanted as wanted } from "./numbers.ts";

/** Epochs from random weights. */
export const defaultEpochs = 12;

/** The key that tells the branches of a union apart, where it may be left out. */
const usually = <Kind extends string>(kind: Kind) => z.literal(kind).optional().default(kind);

const regularization = {
  weightDecay: zeroOrPositive.default(5e-4).meta({
    description:
      "--weight-decay: Pull of every weight towards zero: decoupled under adamw, part of the gradient elsewhere.",
    wanted,
  }),
  l1: zeroOrPositive.default(0).meta({
    description: "--l1: Pull of every weight towards zero by the same amount whatever its size (L1).",
    wanted,
  }),
  decayBias: z.boolean().default(true).meta({
    description: "--decay-bias: Decay biases and batch norm's parameters too, as torch.optim does.",
    without: "Decay neither biases nor batch norm's parameters, which torch.optim decays.",
  }),
  clip: z.union([
    z.strictObject({
      norm: positive.describe(
        "--clip-norm: Most that the norm of all gradients together may be (Pascanu et al. 2013).",
      ),
    }),
    z.strictObject({ value: positive.describe("--clip-value: Most that the size of each gradient may be.") }),
  ]).optional().describe("--clip: Make large gradients smaller."),
};

const beta = (of: string, value: number) =>
  z.number().min(0).max(maxShare).default(value).describe(`Share of the mean ${of} that a step keeps.`);

const optimizer = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: usually("sgd").describe(
      "Rule that turns gradients into steps; nesterov looks ahead along the momentum.",
    ),
    momentum: z.number().min(0).max(maxShare).default(0.9).describe(
      "--momentum: Share of the last step that the next one keeps.",
    ),
    ...regularization,
  }),
  z.strictObject({
    kind: z.literal("nesterov"),
    momentum: z.number().gt(0).max(maxShare).default(0.9),
    ...regularization,
  }),
  z.strictObject({
    kind: z.enum(["adam", "adamw"]),
    beta1: beta("gradient", 0.9),
    beta2: beta("squared gradient", 0.999),
    epsilon: positive.default(1e-8).describe("Added to the root of the mean squared gradient."),
    ...regularization,
  }),
]);

const isRising = (milestones: readonly number[]) =>
  milestones.every((milestone, i) => milestone > (milestones[i - 1] ?? 0) && milestone < 1);
const milestonesWanted = "a list of rising fractions in (0, 1)";

const warmup = z.number().min(0).lt(1).default(0).describe(
  "--warmup: Fraction of training over which the rate first rises to its schedule (Goyal et al. 2017).",
);

const schedule = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: usually("step").describe(
      "--schedule: How the learning rate moves over training (cosine: Loshchilov 2017, one-cycle: Smith 2018).",
    ),
    milestones: z.array(z.number()).min(1).refine(isRising, milestonesWanted).default([0.6]).meta({
      description: "--milestones: Fractions of training at which the rate falls.",
      wanted: milestonesWanted,
    }),
    gamma: z.number().gt(0).lt(1).default(0.25).describe("--gamma: Factor of the rate at each milestone."),
    warmup,
  }),
  z.strictObject({ kind: z.literal("constant"), warmup }),
  z.strictObject({
    kind: z.literal("cosine"),
    floor: z.number().min(0).lt(1).default(0).describe(
      "--rate-floor: Share of the learning rate at which it ends.",
    ),
    warmup,
  }),
  z.strictObject({
    kind: z.literal("one-cycle"),
    peakAt: z.number().gt(0).lt(1).default(0.3).describe(
      "--peak-at: Fraction of training at which the learning rate is reached.",
    ),
  }),
]);

const averaged = {
  from: z.number().min(0).lt(1).default(0.75).describe(
    "--average-from: Fraction of a phase from which on values are averaged.",
  ),
  recalibrate: z.enum(["none", "plain", "augmented"]).default("augmented").describe(
    "--recalibrate: Measure batch norm's statistics anew after averaging, on images as they are or as trained on.",
  ),
};

const averaging = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: usually("mean").describe(
      "--averaging: What a phase ends with: its last values, their mean (Izmailov et al. 2018), or an exponential one.",
    ),
    ...averaged,
  }),
  z.strictObject({
    kind: z.literal("ema"),
    ...averaged,
    decay: z.number().min(1 - maxShare).max(maxShare).default(0.999).describe(
      "--ema-decay: Share of the exponential mean that each step keeps.",
    ),
  }),
  z.strictObject({ kind: z.literal("none") }),
]);

const teacherWanted = "the path of a .safetensors file";

const distillation = z.strictObject({
  share: z.number().gt(0).max(1).describe(
    "--distill: Share of the loss that follows a teacher's predictions (Hinton et al. 2015).",
  ),
  temperature: positive.default(4).describe("--temperature: What the logits of both are divided by."),
  teacher: z.string().refine(isWeightsPath, teacherWanted).optional().meta({
    description:
      "--teacher: Safetensors file of a teacher for training and fine-tuning; without it fine-tuning follows the trained network.",
    wanted: teacherWanted,
  }),
  features: z.strictObject({
    weight: positive.describe(
      "--distill-features: Weight in the loss of the distance from the teacher's features (Romero et al. 2015).",
    ),
    maps: z.enum(["last", "stages"]).default("last").describe(
      "--distill-maps: Which features: the map that the classifier reads, or the last map of each size of maps.",
    ),
  }).optional().describe("Follow the teacher's features too."),
});

/** The branch `train`. */
export const trainTree = z.strictObject({
  epochs: z.int().min(0).optional().meta({
    description:
      "--epochs: Passes over the training examples before the first removal; with weights of a file 0 unless given, or a new last layer is.",
    default: defaultEpochs,
  }),
  batch: z.int().min(1).default(64).describe("--batch: Examples in one training step."),
  accumulate: z.int().min(1).default(1).describe(
    "--accumulate: Batches whose gradients are averaged for one step: a larger batch in less memory.",
  ),
  learningRate: positive.default(0.02).describe(
    "--learning-rate: Step size that the schedule starts from or rises to.",
  ),
  labelSmoothing: z.number().min(0).lt(1).default(0).describe(
    "--label-smoothing: Share of each label's probability that is spread over all classes.",
  ),
  augmentation: z.enum(["auto", "none", "flip", "flip-crop"]).default("auto").describe(
    "--augment: Changes to training images: auto takes flip for colour images and none for grey ones.",
  ),
  cutout: z.int().min(0).default(0).describe(
    "--cutout: Side in pixels of a square that each training image loses, 0 for none (DeVries and Taylor 2017).",
  ),
  mixup: zeroOrPositive.default(0).meta({
    description:
      "--mixup: Alpha of the Beta distribution by which training images are mixed in pairs, 0 for none (Zhang et al. 2018).",
    wanted,
  }),
  optimizer: optimizer.prefault({}),
  schedule: schedule.prefault({}),
  averaging: averaging.prefault({}),
  distillation: distillation.optional().describe("--distill: Learn from a teacher's predictions."),
});

/** What fine-tuning does: the branch `prune.finetune`. */
export const finetuneTree = z.union([
  z.strictObject({
    epochs: z.int().min(1).default(1).describe(
      "--finetune-epochs: Passes over the training examples after each removal, 0 for none.",
    ),
    rewind: z.number().min(0).lt(1).default(0.75).describe(
      "--rewind: Fraction of training whose learning rates fine-tuning goes back to (Renda et al. 2020). Only where fine-tuning has epochs.",
    ),
  }),
  z.strictObject({ epochs: z.literal(0) }),
]);
