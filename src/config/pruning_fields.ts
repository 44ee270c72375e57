/**
 * The keys of a configuration that say what is pruned, how far and how it is trained on.
 *
 * @module
 */
import { z } from "zod";
import { criteria } from "../criterion_names.ts";
import { positive, zeroOrPositive, zeroOrPositiveWanted } from "./device_numbers.ts";

/** Sparsity unless another goal is given. */
export const defaultSparsity = 0.5;

/** Rounds to an asked sparsity, at most to the fixed point of a confidence, and where kept weights are refitted. */
export const defaultRounds = 3, defaultRoundsToFixedPoint = 20, defaultRoundsOfRefit = 5;

/**
 * How channels go to a target in parameters, multiply-adds or bytes unless told otherwise. Ranked together, those of depthwise
 * networks end in layers of one channel, which tell nothing apart (docs/results.md, "How channels go by default").
 */
export const channelDefaults = { scope: "layer", roundTo: 4 } as const;

/** What a granularity is, as a text gives it. */
export type GranularityText =
  | "element"
  | "filter"
  | "channel"
  | { readonly rows: number; readonly channels: number }
  | { readonly keep: number; readonly of: number };

/** What a granularity is, in words. */
const granularityWanted =
  "element, filter, channel, N:M such as 2:4 (N at most M, M at most 32), or RxC such as 4x4";

/** Reads a granularity, as `2:4`; undefined where it is none. */
export function readGranularity(text: string): GranularityText | undefined {
  if (text === "element" || text === "filter" || text === "channel") return text;
  const [, first, sign, second] = /^([1-9]\d{0,8})(x|:)([1-9]\d{0,8})$/.exec(text) ?? [];
  if (sign === undefined) return undefined;
  if (sign === "x") return { rows: Number(first), channels: Number(second) };
  const pattern = { keep: Number(first), of: Number(second) };
  return pattern.keep <= pattern.of && pattern.of <= 32 ? pattern : undefined;
}

/** True for a granularity of so many weights of every so many. */
export function isPattern(text: string): boolean {
  return text.includes(":");
}

/** Reads names with commas between them. */
export function readNames(text: string | undefined): readonly string[] {
  return text === undefined ? [] : text.split(",").map((name) => name.trim());
}

const namesWanted = "names of layers, joined by commas, none of them empty or twice";

function isNames(text: string): boolean {
  const names = readNames(text);
  return names.every((name) => name !== "") && new Set(names).size === names.length;
}

const target = (what: string) =>
  z.number().gt(0).optional().describe(
    `Most ${what} of the pruned network: below 1 a fraction of what there is, else a count.`,
  );

/** Keys of the group "Pruning goal". Each but `rounds` and `pruneSchedule` is a goal of its own. */
export const goalFields = {
  sparsity: z.number().min(0).lt(1).optional().meta({
    description: "Fraction of the weights to remove; absent where there is another goal.",
    default: defaultSparsity,
  }),
  confidence: z.number().gt(0).lt(1).optional().describe(
    "Remove the weights whose confidence lies below this, to a fixed point, instead of a fixed fraction.",
  ),
  targetParameters: target("trained numbers"),
  targetMultiplyAdds: target("multiply-adds for one image"),
  targetBytes: target("bytes of stored numbers"),
  pruneSchedule: z.enum(["one-shot", "iterative", "gradual"]).default("gradual").describe(
    "How rounds share the way: all at once, equal fractions of what is left, or steep first (Zhu and Gupta 2017).",
  ),
  rounds: z.int().min(1).optional().meta({
    description:
      "Rounds of scoring, removal and fine-tuning, at most; 1 for one-shot and N:M, 20 with a confidence, 5 with refit.",
    default: defaultRounds,
  }),
  allowedDrop: z.number().min(0).lt(1).optional().describe(
    "Undo a round after which accuracy on the validation examples is more than this fraction lower than before pruning.",
  ),
  regrow: z.number().gt(0).lt(1).optional().describe(
    "Bring removed weights back whose gradient says with this confidence that they are not zero; above the confidence.",
  ),
};

/** Keys of the group "Pruning". */
export const pruningFields = {
  criterion: z.enum(criteria).optional().meta({
    description:
      "Score by which weights are kept; magnitude with refit, whose stages were measured by it, unless given.",
    default: "confidence",
  }),
  prior: z.enum(["evidence", "matched"]).default("evidence").describe(
    "Prior of the confidence: its precision from the evidence, or matched to the weights' mean square.",
  ),
  posteriorTemperature: z.union([positive, z.literal("auto")]).default(1).describe(
    "What the examples' information is divided by in the confidence, above 1 to trust them less; auto takes the best on validation.",
  ),
  fisher: z.enum(["batch", "example", "sampled"]).default("batch").describe(
    "Fisher information from batches of 16, from single examples (slower), or from labels drawn from the predictions.",
  ),
  granularity: z.string().refine((text) => readGranularity(text) !== undefined, granularityWanted)
    .default("element").meta({
      description:
        "What goes as one: single weights, filters (those of the last layer, the classes, stay), coupled channels, blocks RxC, or all but N of every M columns.",
      wanted: granularityWanted,
    }),
  scope: z.enum(["global", "layer"]).optional().meta({
    description:
      `Rank all layers together, or take the same share of each; ${channelDefaults.scope} where channels go to a target.`,
    default: "global",
  }),
  floor: z.number().min(0).max(1).default(0).describe(
    "Least fraction of its weights, filters, channels or blocks that a layer keeps.",
  ),
  roundTo: z.int().min(1).optional().meta({
    description:
      `What the channels that coupled layers keep come in multiples of, where they lose some; ${channelDefaults.roundTo} where they go to a target.`,
    default: 1,
  }),
  protect: z.string().min(1).refine(isNames, namesWanted).optional().meta({
    description: "Layers that lose nothing, neither filters nor inputs, joined by commas.",
    wanted: namesWanted,
  }),
  perCost: z.boolean().default(false).describe(
    "Rank groups by their worth for each weight that goes with them, or multiply-add where those are the target.",
  ),
  refit: z.boolean().default(false).describe(
    "Give kept weights new values after each removal: those whose activations are nearest to those before it, by least squares.",
  ),
  selection: z.enum(["score", "obs"]).optional().meta({
    description:
      "What chooses the weights of a layer that go: their scores, or, of layers that lost some before, Optimal Brain Surgeon in 3 steps (Hassibi and Stork 1993); obs where refit takes single weights.",
    default: "score",
  }),
  recalibratePruned: z.enum(["none", "plain", "augmented"]).optional().meta({
    description:
      "Measure batch norm's statistics anew after each removal, on images as they are or as trained on; none with refit.",
    default: "augmented",
  }),
  compare: z.boolean().default(true).describe(
    "Prune the same trained network by the other criteria too, and report their accuracy.",
  ),
};

/** Keys of the group "Fine-tuning". */
export const finetuningFields = {
  finetuneEpochs: z.int().min(0).default(1).describe("Passes over the training examples after each removal."),
  rewind: z.number().min(0).lt(1).default(0.75).describe(
    "Fraction of training whose learning rates fine-tuning goes back to (Renda et al. 2020).",
  ),
};

/** Keys of the group "Distillation". */
export const distillationFields = {
  distill: z.number().min(0).max(1).default(0).describe(
    "Share of the loss that follows a teacher's predictions (Hinton et al. 2015), 0 for none.",
  ),
  teacher: z.string().min(1).optional().describe(
    "Safetensors file of a teacher for training and fine-tuning; without it fine-tuning follows the trained network.",
  ),
  temperature: positive.default(4).describe(
    "What the logits of both are divided by where the teacher is followed.",
  ),
  distillFeatures: zeroOrPositive.default(0).meta({
    description:
      "Weight in the loss of the distance from the teacher's features (Romero et al. 2015), 0 for none.",
    wanted: zeroOrPositiveWanted,
  }),
  distillMaps: z.enum(["last", "stages"]).default("last").describe(
    "Which features: the map that the classifier reads, or the last map of each size of maps.",
  ),
};

/** Keys of the group "Pruned model". */
export const modelFields = {
  compact: z.boolean().optional().meta({
    description:
      "Shrink the pruned model by its empty channels, and time both; on with granularity channel unless turned off.",
    default: false,
  }),
  store: z.enum(["dense", "sparse"]).default("dense").describe(
    "Write all weights, as PyTorch loads them, or leave removed ones out of the file.",
  ),
};
