/**
 * What is pruned, how far and in which steps: the branch `prune` of a configuration.
 *
 * @module
 */
import { z } from "zod";
import { criteria, fisherCriteria } from "../criterion_names.ts";
import { positive } from "./numbers.ts";
import { finetuneTree } from "./train.ts";

/**
 * How channels go to a cost unless told otherwise. Ranked together, those of depthwise networks end in layers of one
 * channel, which tell nothing apart (docs/results.md, "How channels go by default").
 */
export const channelDefaults = { scope: "layer", roundTo: 4 } as const;

/** The confidence of a z of 1, from which on the evidence keeps a weight: the threshold of `auto`. */
export const autoConfidence = 0.683;

/** Training examples that `auto` holds out for validation, or a tenth where there are few. */
export const autoValidation = 500;

/**
 * Steps in which a layer chooses which of its weights go: by their scores, and by Optimal Brain Surgeon. Six steps lose no
 * less on validation images.
 */
export const selectionSteps = { score: 0, obs: 3 } as const;

/** The most columns of a group of N:M sparsity. */
export const largestPattern = 32;

const share = z.number().gt(0).lt(1);
const patternWanted = `{"keep": N, "of": M}, N at most M, M at most ${largestPattern}`;

const goal = z.union([
  z.strictObject({
    sparsity: z.number().min(0).lt(1).default(0.5).describe(
      "--sparsity: Goal: fraction of the weights to remove.",
    ),
  }),
  z.strictObject({
    confidence: z.union([share, z.literal("auto")]).describe(
      `--confidence: Goal: remove the weights whose confidence lies below this, to a fixed point; auto takes ${autoConfidence} and keeps the sparsest network that validation does not tell from the best.`,
    ),
    regrow: share.optional().describe(
      "--regrow: Bring removed weights back whose gradient says with this confidence that they are not zero; above the confidence.",
    ),
  }),
  z.strictObject({
    cost: z.enum(["parameters", "multiplyAdds", "bytes"]).describe(
      "Goal: what the pruned network may cost: trained numbers, multiply-adds for an image, bytes of stored numbers.",
    ),
    max: z.number().gt(0).describe("Maximum of that: below 1 a fraction of what there is, else a count."),
  }),
  z.strictObject({
    pattern: z.strictObject({
      keep: z.int().min(1).describe("Weights that are kept of each group."),
      of: z.int().min(1).max(largestPattern).describe("Neighbouring columns that make a group."),
    }).refine(({ keep, of }) => keep <= of, patternWanted).meta({
      description: "Goal: N:M sparsity, which granularity N:M sets too.",
      wanted: patternWanted,
    }),
  }),
]);

const fisher = z.enum(["batch", "example", "sampled"]).default("batch").describe(
  "--fisher: Fisher information from batches of 16, from single examples (slower), or from labels drawn from the predictions.",
);

/** How weights are scored. */
export const scoreTree = z.discriminatedUnion("by", [
  z.strictObject({
    by: z.literal("confidence").optional().default("confidence").describe(
      "--criterion: Score by which weights are kept; magnitude with refit, whose stages were measured by it, unless given.",
    ),
    prior: z.enum(["evidence", "matched"]).default("evidence").describe(
      "--prior: Prior of the confidence: its precision from the evidence, or matched to the weights' mean square.",
    ),
    fisher,
    temperature: z.union([positive, z.literal("validation")]).default(1).describe(
      "Temperature of the posterior: divides the Fisher information, above 1 to trust the data less; chosen on validation where that stands there.",
    ),
  }),
  z.strictObject({ by: z.enum(fisherCriteria).exclude(["confidence"]), fisher }),
  z.strictObject({ by: z.enum(criteria).exclude(fisherCriteria) }),
]);

const protectWanted = "a list of names of layers, none of them empty or twice";

const selected = {
  scope: z.enum(["global", "layer"]).optional().meta({
    description:
      `--scope: Rank all layers together, or take the same share of each; ${channelDefaults.scope} where channels go to a cost.`,
    default: "global",
  }),
  floor: z.number().min(0).max(1).default(0).describe(
    "--floor: Least fraction of its weights, filters, channels or blocks that a layer keeps.",
  ),
  protect: z.array(z.string().min(1)).refine(
    (names) => new Set(names).size === names.length,
    protectWanted,
  ).default([])
    .meta({
      description: "--protect: Layers that lose nothing, neither filters nor inputs.",
      wanted: protectWanted,
    }),
};

const perCost = z.boolean().default(false).describe(
  "--per-cost: Rank groups by their worth for each weight that goes with them, or multiply-add where those are the goal.",
);

const side = (of: string) => z.int().min(1).max(999_999_999).describe(`Neighbouring ${of} of a block.`);
const block = z.strictObject({ rows: side("rows"), channels: side("columns") });

const select = z.union([
  z.strictObject({
    granularity: z.literal("element").optional().default("element").meta({
      description:
        "What goes as one: single weights, filters, coupled channels, or blocks of rows and columns.",
      wanted: 'element, filter, channel, or {"rows": R, "channels": C} for blocks',
    }),
    ...selected,
  }),
  z.strictObject({
    granularity: z.literal("channel"),
    ...selected,
    roundTo: z.int().min(1).optional().meta({
      description:
        `--round-to: Keep channel counts a multiple of this in layers that are pruned; ${channelDefaults.roundTo} where they go to a cost.`,
      default: 1,
    }),
    perCost,
  }),
  z.strictObject({ granularity: z.union([z.literal("filter"), block]), ...selected, perCost }),
]);

/** The steps of a refit beyond single layers, and their learning rate. */
export const refitTraining = { steps: 300, learningRate: 3e-3 } as const;

const refitted = {
  selectionSteps: z.int().min(0).optional().meta({
    description:
      "Steps in which a layer that lost weights before chooses by Optimal Brain Surgeon which go (Hassibi and Stork 1993); 0 takes the scores.",
    default: selectionSteps.obs,
  }),
};

const refit = z.discriminatedUnion("by", [
  z.strictObject({
    by: z.literal("layers").optional().describe(
      "--refit: Give kept weights new values after each removal, so that the network computes what it did before: layers fits each layer by least squares; then, by steps without labels, blocks trains one stage after the other, end-to-end all at once, with the logits.",
    ),
    ...refitted,
  }),
  z.strictObject({
    by: z.enum(["blocks", "end-to-end"]),
    ...refitted,
    steps: z.int().min(1).default(refitTraining.steps).describe(
      "--refit-steps: Steps of training without labels after the last removal, on batches of calibration examples; rounded up to whole passes.",
    ),
    learningRate: positive.default(refitTraining.learningRate).describe(
      "--refit-learning-rate: Learning rate of those steps, which Adam takes; it falls to zero along half a cosine.",
    ),
  }),
]).describe("--refit: Give kept weights new values after each removal.");

const after = z.union([
  z.strictObject({
    recalibrate: z.enum(["none", "plain", "augmented"]).default("augmented").describe(
      "--recalibrate-pruned: Measure batch norm's statistics anew after each removal, on images as they are or as trained on.",
    ),
  }),
  z.strictObject({ refit }),
]);

/** The branch `prune`. */
export const pruneTree = z.strictObject({
  goal: goal.prefault({}),
  schedule: z.enum(["one-shot", "iterative", "gradual"]).default("gradual").describe(
    "--prune-schedule: How rounds share the way: all at once, equal fractions of what is left, or steep first (Zhu and Gupta 2017).",
  ),
  rounds: z.int().min(1).optional().meta({
    description:
      "--rounds: Rounds of scoring, removal and fine-tuning, at most; 1 for one-shot and N:M, as many as it takes with a confidence, 5 with refit.",
    default: 3,
  }),
  allowedDrop: z.number().min(0).lt(1).optional().describe(
    "--allowed-drop: Undo a round after which accuracy on the validation examples is more than this fraction lower than before pruning.",
  ),
  score: scoreTree.optional(),
  select: select.prefault({}),
  after: after.prefault({}),
  finetune: finetuneTree.prefault({}),
  compare: z.boolean().default(true).describe(
    "--compare: Prune the same trained network by the other criteria too, and report their accuracy.",
  ),
});

type PruneKeys = z.output<typeof pruneTree>;

/** True where a refit may choose which weights go: single ones that stay removed. */
export function mayChooseWeights({ goal, select }: Pick<PruneKeys, "goal" | "select">): boolean {
  const isRegrowing = "confidence" in goal && goal.regrow !== undefined;
  return select.granularity === "element" && !("pattern" in goal) && !isRegrowing;
}

/** True where validation examples choose the round whose network is kept. */
export function choosesRound(goal: PruneKeys["goal"]): boolean {
  return "confidence" in goal && goal.confidence === "auto";
}
