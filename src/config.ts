/**
 * The configuration of a prune run: one schema, from which the flags, the help and the errors follow.
 *
 * @module
 */

import { z } from "zod";
import { ConfigError } from "./errors.ts";
import { isWeightsPath } from "./files.ts";
import { describeAlternatives } from "./nearest.ts";

/** Everything that a prune run can be told. A test holds these sentences equal to the schema's descriptions. */
export interface PruneConfig {
  /** Folder of the data set; by default ./data and the cache folder are searched, then CIFAR-10 is downloaded. */
  readonly data?: string | undefined;
  /** The network: a preset such as "seed" or "resnet20", or the path of a graph (JSON) or of weights (safetensors). */
  readonly model: string;
  /** Safetensors file of PyTorch's names with weights for a preset or a graph. */
  readonly weights?: string | undefined;
  /** Preset that a safetensors file holds the weights of; by default it is recognised from names and shapes. */
  readonly preset?: string | undefined;
  /** Mean of each channel of the images, 255 being 1, with commas; by default the model file's or the data set's. */
  readonly mean?: string | undefined;
  /** Standard deviation of each channel of the images, 255 being 1, with commas; together with the mean. */
  readonly std?: string | undefined;
  /** Passes over the training examples before the first removal; with weights of a file 0 unless given. */
  readonly epochs: number;
  /** Examples in one training step. */
  readonly batch: number;
  /** Step size at the start of training. */
  readonly learningRate: number;
  /** Rule that turns gradients into steps. */
  readonly optimizer: "sgd" | "momentum" | "nesterov" | "adam" | "adamw";
  /** Share of the last step that the next one keeps, under momentum and nesterov. */
  readonly momentum: number;
  /** Pull of every weight towards zero: decoupled under adamw, part of the gradient elsewhere. */
  readonly weightDecay: number;
  /** Share of each label's probability that is spread over all classes. */
  readonly labelSmoothing: number;
  /** Changes to training images: auto takes flip-crop for colour images and none for grey ones. */
  readonly augment: "auto" | "none" | "flip" | "flip-crop";
  /** Seed of initial weights, batch order, splits and augmentation. */
  readonly seed: number;
  /** Fraction of the weights to remove; absent where a confidence is given. */
  readonly sparsity?: number | undefined;
  /** Remove the weights whose confidence lies below this, instead of a fixed fraction. */
  readonly confidence?: number | undefined;
  /** Score by which weights are kept. */
  readonly criterion: "confidence" | "magnitude" | "gradient" | "taylor" | "obd" | "l1" | "random";
  /** Prior of the confidence: its precision from the evidence, or matched to the weights' mean square. */
  readonly prior: "evidence" | "matched";
  /** Rounds of scoring, removal and fine-tuning, at most; with a confidence 20 unless given. */
  readonly rounds: number;
  /** Passes over the training examples after each removal. */
  readonly finetuneEpochs: number;
  /** Training examples held out to score weights on, at most; small data sets give a fifth of what they have. */
  readonly calibration: number;
  /** Training examples to use, 0 for all. */
  readonly limit: number;
  /** Test examples to use, 0 for all. */
  readonly testLimit: number;
  /** Folder that the report and the pruned model are written to. */
  readonly out: string;
  /** Write into the output folder although it is not empty. */
  readonly force: boolean;
  /** Prune the same trained network by the other criteria too, and report their accuracy. */
  readonly compare: boolean;
  /** WebGPU adapter to run on. */
  readonly adapter: "auto" | "high-performance" | "low-power" | "fallback";
  /** How matrix products read their operands; auto takes what is faster on the adapter. */
  readonly readPath: "auto" | "storage" | "texture" | "subgroup";
  /** Time how matrix products run fastest on this adapter, once; the choices are kept in the cache folder. */
  readonly tune: "off" | "quick" | "full";
}

const defaultSparsity = 0.5;

/** Epochs from random weights. */
const defaultEpochs = 12;

/** Rounds to an asked sparsity, and at most to the fixed point of a confidence. */
const defaultRounds = 3, defaultRoundsToFixedPoint = 20;

const fields = z.strictObject({
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
  epochs: z.int().min(0).optional().meta({
    description:
      "Passes over the training examples before the first removal; with weights of a file 0 unless given.",
    default: defaultEpochs,
  }),
  batch: z.int().min(1).default(64).describe("Examples in one training step."),
  learningRate: z.number().gt(0).default(0.02).describe("Step size at the start of training."),
  optimizer: z.enum(["sgd", "momentum", "nesterov", "adam", "adamw"]).default("momentum").describe(
    "Rule that turns gradients into steps.",
  ),
  momentum: z.number().min(0).lt(1).default(0.9).describe(
    "Share of the last step that the next one keeps, under momentum and nesterov.",
  ),
  weightDecay: z.number().min(0).default(5e-4).describe(
    "Pull of every weight towards zero: decoupled under adamw, part of the gradient elsewhere.",
  ),
  labelSmoothing: z.number().min(0).lt(1).default(0).describe(
    "Share of each label's probability that is spread over all classes.",
  ),
  augment: z.enum(["auto", "none", "flip", "flip-crop"]).default("auto").describe(
    "Changes to training images: auto takes flip-crop for colour images and none for grey ones.",
  ),
  seed: z.int().min(0).max(2 ** 32 - 1).default(0).describe(
    "Seed of initial weights, batch order, splits and augmentation.",
  ),
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
  finetuneEpochs: z.int().min(0).default(1).describe("Passes over the training examples after each removal."),
  calibration: z.int().min(1).default(1000).describe(
    "Training examples held out to score weights on, at most; small data sets give a fifth of what they have.",
  ),
  limit: z.int().min(0).default(6000).describe("Training examples to use, 0 for all."),
  testLimit: z.int().min(0).default(2000).describe("Test examples to use, 0 for all."),
  out: z.string().min(1).default("out").describe(
    "Folder that the report and the pruned model are written to.",
  ),
  force: z.boolean().default(false).describe("Write into the output folder although it is not empty."),
  compare: z.boolean().default(true).describe(
    "Prune the same trained network by the other criteria too, and report their accuracy.",
  ),
  adapter: z.enum(["auto", "high-performance", "low-power", "fallback"]).default("auto").describe(
    "WebGPU adapter to run on.",
  ),
  readPath: z.enum(["auto", "storage", "texture", "subgroup"]).default("auto").describe(
    "How matrix products read their operands; auto takes what is faster on the adapter.",
  ),
  tune: z.enum(["off", "quick", "full"]).default("quick").describe(
    "Time how matrix products run fastest on this adapter, once; the choices are kept in the cache folder.",
  ),
});

/** True where the model starts from weights of a file. */
function hasWeights({ weights, model }: Pick<z.output<typeof fields>, "weights" | "model">): boolean {
  return weights !== undefined || isWeightsPath(model);
}

/** Refuses two goals at once, a threshold on a score that is no confidence, and random weights that nothing trains. */
function checkGoal(config: z.output<typeof fields>, context: z.RefinementCtx): void {
  const refuse = (key: string, message: string) => context.addIssue({ code: "custom", path: [key], message });
  if (config.epochs === 0 && !hasWeights(config)) {
    refuse("epochs", "a whole number, at least 1, or weights to start from");
  }
  if (config.confidence === undefined) return;
  if (config.sparsity !== undefined) refuse("sparsity", "no sparsity beside a confidence");
  if (config.criterion !== "confidence") refuse("criterion", '"confidence" beside a confidence threshold');
}

const schema = fields.superRefine(checkGoal).transform((config) => {
  const { confidence } = config;
  const rounds = config.rounds ?? (confidence === undefined ? defaultRounds : defaultRoundsToFixedPoint);
  const sparsity = config.sparsity ?? (confidence === undefined ? defaultSparsity : undefined);
  const epochs = config.epochs ?? (hasWeights(config) ? 0 : defaultEpochs);
  return { ...config, rounds, epochs, ...(sparsity === undefined ? {} : { sparsity }) };
});

/** What winnow promises of the zod schemas that it exports. */
export interface Schema<Value> {
  /** Checks a value and fills in defaults; throws zod's error where the value does not fit. */
  parse(value: unknown): Value;
  /** Checks a value like `parse`, and returns the error instead of throwing it. */
  safeParse(value: unknown): { success: true; data: Value } | { success: false; error: Error };
}

/** The zod schema of a {@linkcode PruneConfig}: unknown keys are refused, absent ones get their default. */
export const pruneConfigSchema: Schema<PruneConfig> = schema;

/** One key of the configuration, as flags, help and errors see it. */
export interface ConfigField {
  /** The key in JSON, such as `learningRate`. */
  readonly key: string;
  /** The flag without its dashes, such as `learning-rate`. */
  readonly flag: string;
  /** What a value is. */
  readonly kind: "integer" | "number" | "boolean" | "text" | "choice";
  /** The value of an absent key, or undefined where it stays absent. */
  readonly default: string | number | boolean | undefined;
  /** One sentence on what the key does. */
  readonly description: string;
  /** The values that are allowed, in words, such as `a whole number, at least 1`. */
  readonly wanted: string;
  /** The values of a choice. */
  readonly choices?: readonly string[];
}

/** The part of JSON Schema that the fields above come out as. */
interface FieldSchema {
  readonly type: "integer" | "number" | "boolean" | "string";
  readonly enum?: readonly string[];
  readonly default?: string | number | boolean;
  readonly description: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
}

/** Says in words which values a field takes. */
function describeWanted(field: FieldSchema): string {
  if (field.enum) return `one of ${field.enum.join(", ")}`;
  if (field.type === "boolean") return "true or false";
  if (field.type === "string") return "a text that is not empty";
  const { minimum, exclusiveMinimum, maximum = Number.MAX_SAFE_INTEGER, exclusiveMaximum } = field;
  const low = minimum ?? exclusiveMinimum;
  const noun = field.type === "integer" ? "a whole number" : "a finite number";
  if (exclusiveMaximum !== undefined) {
    return `${noun} in ${minimum === undefined ? "(" : "["}${low}, ${exclusiveMaximum})`;
  }
  if (maximum !== Number.MAX_SAFE_INTEGER) return `${noun} from ${low} to ${maximum}`;
  return `${noun}, ${minimum === undefined ? "above" : "at least"} ${low}`;
}

/** Lists every key of the configuration, in the schema's order, as derived from the schema. */
export function describeConfig(): ConfigField[] {
  const schema = z.toJSONSchema(fields, { io: "input" });
  return Object.entries(schema.properties as Record<string, FieldSchema>).map(([key, field]) => ({
    key,
    flag: key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    kind: field.enum ? "choice" : field.type === "string" ? "text" : field.type,
    default: field.default,
    description: field.description,
    wanted: describeWanted(field),
    ...(field.enum ? { choices: field.enum } : {}),
  }));
}

/** A value as an error shows it: JSON on one line, cut where it is long. */
function quoteValue(value: unknown): string {
  const text = typeof value === "number" || value === undefined ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/**
 * Checks a configuration and fills in the defaults.
 *
 * @param value what was read, such as parsed JSON
 * @param source where it was read, for errors: a file's path or "the command line"
 * @throws {ConfigError} naming the key, its value and what is expected
 *
 * @example
 * ```ts
 * import { parsePruneConfig } from "./config.ts";
 *
 * parsePruneConfig({ sparsity: 0.8 }, "an example").epochs; // 12
 * ```
 */
export function parsePruneConfig(value: unknown, source: string): PruneConfig {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const known = describeConfig();
  const refuse = (thing: string, current: string, wanted: string) =>
    new ConfigError({ act: "use", thing, current: `${current} from ${source}`, wanted });
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0]!;
    throw refuse(key, "an unknown key", describeAlternatives(key, known.map((field) => field.key)));
  }
  const field = known.find(({ key }) => key === issue.path[0]);
  if (field === undefined) throw refuse("config", quoteValue(value), "an object of keys and values");
  const found = (value as Record<string, unknown>)[field.key];
  throw refuse(field.key, quoteValue(found), issue.code === "custom" ? issue.message : field.wanted);
}
