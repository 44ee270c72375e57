/**
 * Every key of a configuration by group, and which of them go together.
 *
 * @module
 */
import { z } from "zod";
import { fisherCriteria } from "../criterion_names.ts";
import { isWeightsPath } from "../files.ts";
import { renameOldKeys } from "./old_names.ts";
import { checkPruning, criterionOf, goalKeys, type Refuse } from "./pruning_rules.ts";
import {
  channelDefaults,
  defaultRounds,
  defaultRoundsOfRefit,
  defaultRoundsToFixedPoint,
  defaultSparsity,
  distillationFields,
  finetuningFields,
  goalFields,
  isPattern,
  modelFields,
  pruningFields,
} from "./pruning_fields.ts";
import {
  defaultEpochs,
  regularizationFields,
  scheduleFields,
  stoppingFields,
  trainingFields,
} from "./training_fields.ts";

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
    "Whether examples are loaded into memory first (off) or stay in their files and are read on the way (on); auto leaves in files what memory or the device cannot hold.",
  ),
  limit: z.int().min(0).default(6000).describe("Training examples to use, 0 for all."),
  testLimit: z.int().min(0).default(2000).describe("Test examples to use, 0 for all."),
  calibration: z.int().min(1).default(1000).describe(
    "Training examples held out to score weights on, at most; small data sets give a fifth of what they have.",
  ),
  validation: z.int().min(0).default(0).describe(
    "Training examples held out to find the best epoch of each phase by, rounds to undo, temperatures and variants; 0 for none.",
  ),
  seed: z.int().min(0).max(2 ** 32 - 1).default(0).describe(
    "Seed of initial weights, batch order, splits and augmentation.",
  ),
};

const outputFields = {
  out: z.string().min(1).optional().describe(
    "Folder that the report and the pruned model are written to; by default a new one, out/DATE-NAME.",
  ),
  checkpointEvery: z.int().min(0).optional().describe(
    "Training steps between two checkpoints in the output folder, 0 for none; by default one every 5 minutes and after training.",
  ),
  force: z.boolean().default(false).describe("Write into the output folder although it is not empty."),
  adapter: z.enum(["auto", "high-performance", "low-power", "fallback"]).default("auto").describe(
    "WebGPU adapter to run on.",
  ),
  readPath: z.enum(["auto", "storage", "texture", "subgroup"]).default("auto").describe(
    "How matrix products read their operands; auto takes what is faster on the adapter.",
  ),
  evaluationBatch: z.int().min(1).optional().describe(
    "Examples that evaluation takes at a time; by default 256, or as many as the adapter can hold.",
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
  "Pruning goal": goalFields,
  "Pruning": pruningFields,
  "Fine-tuning": finetuningFields,
  "Distillation": distillationFields,
  "Pruned model": modelFields,
  "Output and device": outputFields,
};

/** All keys, without the rules on what goes together. */
export const fields = z.strictObject({
  ...dataFields,
  ...trainingFields,
  ...regularizationFields,
  ...scheduleFields,
  ...stoppingFields,
  ...goalFields,
  ...pruningFields,
  ...finetuningFields,
  ...distillationFields,
  ...modelFields,
  ...outputFields,
});

/** All keys with their values. */
export type Fields = z.output<typeof fields>;

/** Keys that say nothing unless another has one of some values; they must keep their default there. */
const companions: Partial<
  Record<keyof Fields, { readonly key: keyof Fields; readonly values?: readonly string[] }>
> = {
  momentum: { key: "optimizer", values: ["momentum", "nesterov"] },
  milestones: { key: "schedule", values: ["step"] },
  gamma: { key: "schedule", values: ["step"] },
  rateFloor: { key: "schedule", values: ["cosine"] },
  peakAt: { key: "schedule", values: ["one-cycle"] },
  emaDecay: { key: "averaging", values: ["ema"] },
  averageFrom: { key: "averaging", values: ["mean", "ema"] },
  patience: { key: "validation" },
  stopOn: { key: "validation" },
  rewind: { key: "finetuneEpochs" },
  temperature: { key: "distill" },
  distillFeatures: { key: "distill" },
  distillMaps: { key: "distillFeatures" },
  fisher: { key: "criterion", values: fisherCriteria },
};

/** True where the model starts from weights of a file. */
function hasWeights({ weights, model }: Pick<Fields, "weights" | "model">): boolean {
  return weights !== undefined || isWeightsPath(model);
}

/** A teacher must be followed, and where none is given the trained network has only fine-tuning to teach. */
function checkDistillation({ distill, teacher, finetuneEpochs }: Fields, refuse: Refuse): void {
  if (teacher !== undefined && distill === 0) refuse("teacher", "none unless distill is above 0");
  if (teacher !== undefined && !isWeightsPath(teacher)) refuse("teacher", "the path of a .safetensors file");
  if (teacher === undefined && distill > 0 && finetuneEpochs === 0) {
    refuse("distill", "0 unless finetuneEpochs is above 0 or a teacher is given");
  }
}

/** Refuses keys that contradict each other or that would do nothing. */
function checkTogether(config: Fields, context: z.RefinementCtx): void {
  const refuse = (key: keyof Fields, message: string) =>
    context.addIssue({ code: "custom", path: [key], message });
  if (config.epochs === 0 && !hasWeights(config)) {
    refuse("epochs", "a whole number, at least 1, or weights to start from");
  }
  checkPruning(config, hasWeights(config), refuse);
  checkDistillation(config, refuse);
  if (config.optimizer === "nesterov" && config.momentum === 0) refuse("momentum", "above 0 under nesterov");
  if (config.clipNorm > 0 && config.clipValue > 0) refuse("clipValue", "0 beside a clipNorm");
  if (config.mixup > 0 && config.batch === 1) refuse("mixup", "0 beside a batch of 1, which makes no pairs");
  if (config.schedule === "one-cycle" && config.warmup > 0) {
    refuse("warmup", "0 under schedule one-cycle, which rises by itself");
  }
  if (config.averaging === "none" && config.recalibrate === "plain") {
    refuse("recalibrate", '"none" under averaging none: it follows averages alone');
  }
  if (!config.decayBias && config.weightDecay === 0 && config.l1 === 0) {
    refuse("decayBias", "true unless weightDecay or l1 is above 0");
  }
  for (const [name, companion] of Object.entries(companions)) {
    const key = name as keyof Fields, preset = fields.shape[key].safeParse(undefined).data;
    const { key: other, values } = companion;
    const value = other === "criterion" ? criterionOf(config) : config[other];
    const applies = values ? values.includes(String(value)) : value !== 0;
    if (config[key] === preset || applies) continue;
    refuse(key, `${JSON.stringify(preset)} unless ${other} is ${values ? values.join(" or ") : "above 0"}`);
  }
}

/** How groups go: channels to a target by defaults of their own. */
function groupingOf({ granularity, targetParameters, targetMultiplyAdds, targetBytes, ...given }: Fields) {
  const isToTarget = [targetParameters, targetMultiplyAdds, targetBytes].some((target) =>
    target !== undefined
  );
  const preset = granularity === "channel" && isToTarget
    ? channelDefaults
    : { scope: "global", roundTo: 1 } as const;
  return { scope: given.scope ?? preset.scope, roundTo: given.roundTo ?? preset.roundTo };
}

/** Fills in the goal where none is given, and the keys that depend on others. */
function complete(config: Fields) {
  const { confidence, granularity, pruneSchedule } = config, isByPattern = isPattern(granularity);
  const hasGoal = isByPattern || goalKeys.some((key) => config[key] !== undefined);
  const preset = confidence !== undefined
    ? defaultRoundsToFixedPoint
    : isByPattern || pruneSchedule === "one-shot"
    ? 1
    : config.refit
    ? defaultRoundsOfRefit
    : defaultRounds;
  const choosesByObs = config.refit && granularity === "element" && config.regrow === undefined;
  const grouping = groupingOf(config);
  const sparsity = config.sparsity ?? (hasGoal ? undefined : defaultSparsity);
  return inOrder({
    ...config,
    criterion: criterionOf(config),
    selection: config.selection ?? (choosesByObs ? "obs" as const : "score" as const),
    rounds: config.rounds ?? preset,
    epochs: config.epochs ?? (hasWeights(config) ? 0 : defaultEpochs),
    recalibratePruned: config.recalibratePruned ?? (config.refit ? "none" : "augmented"),
    compact: config.compact ?? granularity === "channel",
    ...grouping,
    ...(sparsity === undefined ? {} : { sparsity }),
  });
}

/** A configuration with its keys in the schema's order, told or filled in, so that a report's bytes follow from its values. */
function inOrder<Config extends object>(config: Config): Config {
  const order = Object.keys(fields.shape);
  const entries = Object.entries(config).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  return Object.fromEntries(entries) as Config;
}

/** The schema of a configuration. */
export const schema = z.preprocess(renameOldKeys, fields.superRefine(checkTogether).transform(complete));
