/**
 * Every key of a configuration by group, and which of them go together.
 *
 * @module
 */
import { z } from "zod";
import { isWeightsPath } from "../files.ts";
import {
  defaultEpochs,
  regularizationFields,
  scheduleFields,
  stoppingFields,
  trainingFields,
} from "./training_fields.ts";

const defaultSparsity = 0.5;

/** Rounds to an asked sparsity, and at most to the fixed point of a confidence. */
const defaultRounds = 3, defaultRoundsToFixedPoint = 20;

const dataFields = {
  data: z.string().min(1).optional().describe(
    "Folder of the data set; by default ./data and the cache folder are searched, then CIFAR-10 is downloaded.",
  ),
  model: z.string().min(1).default("seed").describe(
    'The network: a preset such as "seed" or "resnet20", or the path of a graph (JSON) or of weights (safetensors).',
  ),
  weights: z.string().min(1).optional().describe(
    "Safetensors file of PyTorch's names with weights for a preset or a graph.",
  ),
  preset: z.string().min(1).optional().describe(
    "Preset that a safetensors file holds the weights of; by default it is recognised from names and shapes.",
  ),
  mean: z.string().min(1).optional().describe(
    "Mean of each channel of the images, 255 being 1, with commas; by default the model file's or the data set's.",
  ),
  std: z.string().min(1).optional().describe(
    "Standard deviation of each channel of the images, 255 being 1, with commas; together with the mean.",
  ),
  stream: z.enum(["auto", "on", "off"]).default("auto").describe(
    "Leave examples in their files and read them ahead: auto where memory or the device does not take them.",
  ),
  limit: z.int().min(0).default(6000).describe("Training examples to use, 0 for all."),
  testLimit: z.int().min(0).default(2000).describe("Test examples to use, 0 for all."),
  calibration: z.int().min(1).default(1000).describe(
    "Training examples held out to score weights on, at most; small data sets give a fifth of what they have.",
  ),
  validation: z.int().min(0).default(0).describe(
    "Training examples held out to find the best epoch of each phase by, 0 for none.",
  ),
  seed: z.int().min(0).max(2 ** 32 - 1).default(0).describe(
    "Seed of initial weights, batch order, splits and augmentation.",
  ),
};

const pruningFields = {
  sparsity: z.number().min(0).lt(1).optional().meta({
    description: "Fraction of the weights to remove; absent where a confidence is given.",
    default: defaultSparsity,
  }),
  confidence: z.number().gt(0).lt(1).optional().describe(
    "Remove the weights whose confidence lies below this, instead of a fixed fraction.",
  ),
  criterion: z.enum(["confidence", "magnitude", "gradient", "taylor", "obd", "l1", "random"])
    .default("confidence").describe("Score by which weights are kept."),
  prior: z.enum(["evidence", "matched"]).default("evidence").describe(
    "Prior of the confidence: its precision from the evidence, or matched to the weights' mean square.",
  ),
  rounds: z.int().min(1).optional().meta({
    description: "Rounds of scoring, removal and fine-tuning, at most; with a confidence 20 unless given.",
    default: defaultRounds,
  }),
  compare: z.boolean().default(true).describe(
    "Prune the same trained network by the other criteria too, and report their accuracy.",
  ),
};

const finetuningFields = {
  finetuneEpochs: z.int().min(0).default(1).describe("Passes over the training examples after each removal."),
  rewind: z.number().min(0).lt(1).default(0.75).describe(
    "Fraction of training whose learning rates fine-tuning goes back to (Renda et al. 2020).",
  ),
  distill: z.number().min(0).max(1).default(0).describe(
    "Share of the fine-tuning loss that follows the trained network (Hinton et al. 2015), 0 for none.",
  ),
  temperature: z.number().gt(0).default(4).describe(
    "What logits are divided by where the trained network is followed.",
  ),
};

const outputFields = {
  out: z.string().min(1).default("out").describe(
    "Folder that the report and the pruned model are written to.",
  ),
  checkpointEvery: z.int().min(0).default(0).describe(
    "Training steps between two checkpoints in the output folder, 0 for none; --resume goes on from the last.",
  ),
  force: z.boolean().default(false).describe("Write into the output folder although it is not empty."),
  adapter: z.enum(["auto", "high-performance", "low-power", "fallback"]).default("auto").describe(
    "WebGPU adapter to run on.",
  ),
  readPath: z.enum(["auto", "storage", "texture", "subgroup"]).default("auto").describe(
    "How matrix products read their operands; auto takes what is faster on the adapter.",
  ),
  tune: z.enum(["off", "quick", "full"]).default("quick").describe(
    "Time how matrix products run fastest on this adapter, once; the choices are kept in the cache folder.",
  ),
};

/** The keys of each group, in the order of the help. */
export const fieldGroups = {
  "Data and model": dataFields,
  "Training": trainingFields,
  "Regularisation": regularizationFields,
  "Schedule and averaging": scheduleFields,
  "Early stopping": stoppingFields,
  "Pruning": pruningFields,
  "Fine-tuning": finetuningFields,
  "Output and device": outputFields,
};

/** All keys, without the rules on what goes together. */
export const fields = z.strictObject({
  ...dataFields,
  ...trainingFields,
  ...regularizationFields,
  ...scheduleFields,
  ...stoppingFields,
  ...pruningFields,
  ...finetuningFields,
  ...outputFields,
});

type Fields = z.output<typeof fields>;

/** Keys that say nothing unless another has one of some values; they must keep their default there. */
const companions: Partial<
  Record<keyof Fields, { readonly key: keyof Fields; readonly values?: readonly string[] }>
> = {
  milestones: { key: "schedule", values: ["step"] },
  gamma: { key: "schedule", values: ["step"] },
  rateFloor: { key: "schedule", values: ["cosine"] },
  peakAt: { key: "schedule", values: ["one-cycle"] },
  emaDecay: { key: "averaging", values: ["ema"] },
  averageFrom: { key: "averaging", values: ["mean", "ema"] },
  patience: { key: "validation" },
  stopOn: { key: "validation" },
  temperature: { key: "distill" },
  distill: { key: "finetuneEpochs" },
};

/** True where the model starts from weights of a file. */
function hasWeights({ weights, model }: Pick<Fields, "weights" | "model">): boolean {
  return weights !== undefined || isWeightsPath(model);
}

/** Refuses keys that contradict each other or that would do nothing. */
function checkTogether(config: Fields, context: z.RefinementCtx): void {
  const refuse = (key: keyof Fields, message: string) =>
    context.addIssue({ code: "custom", path: [key], message });
  if (config.epochs === 0 && !hasWeights(config)) {
    refuse("epochs", "a whole number, at least 1, or weights to start from");
  }
  if (config.confidence !== undefined) {
    if (config.sparsity !== undefined) refuse("sparsity", "no sparsity beside a confidence");
    // A threshold on a score that is no confidence would mean nothing.
    if (config.criterion !== "confidence") refuse("criterion", '"confidence" beside a confidence threshold');
  }
  if (config.optimizer === "nesterov" && config.momentum === 0) refuse("momentum", "above 0 under nesterov");
  if (config.clipNorm > 0 && config.clipValue > 0) refuse("clipValue", "0 beside a clipNorm");
  if (config.schedule === "one-cycle" && config.warmup > 0) {
    refuse("warmup", "0 under schedule one-cycle, which rises by itself");
  }
  for (const [name, companion] of Object.entries(companions)) {
    const key = name as keyof Fields, preset = fields.shape[key].safeParse(undefined).data;
    const { key: other, values } = companion;
    const applies = values ? values.includes(String(config[other])) : config[other] !== 0;
    if (config[key] === preset || applies) continue;
    refuse(key, `${JSON.stringify(preset)} unless ${other} is ${values ? values.join(" or ") : "above 0"}`);
  }
}

/** Fills in the goal where none is given, and the epochs and rounds that depend on other keys. */
function complete(config: Fields) {
  const { confidence } = config;
  const rounds = config.rounds ?? (confidence === undefined ? defaultRounds : defaultRoundsToFixedPoint);
  const sparsity = config.sparsity ?? (confidence === undefined ? defaultSparsity : undefined);
  const epochs = config.epochs ?? (hasWeights(config) ? 0 : defaultEpochs);
  return { ...config, rounds, epochs, ...(sparsity === undefined ? {} : { sparsity }) };
}

/** The schema of a configuration. */
export const schema = fields.superRefine(checkTogether).transform(complete);
