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

const rounds = z.int().min(1).optional().meta({
  description:
    "--rounds: Rounds of scoring, removal and fine-tuning, 5 with refit; with a confidence at most so many, else as many as it takes.",
  default: 3,
});

/** How a way to a goal is shared: by rounds, or not at all. */
const ways = {
  inRounds: {
    schedule: z.enum(["gradual", "iterative"]).default("gradual").describe(
      "--prune-schedule: How rounds share the way to a sparsity or a cost: steep first (Zhu and Gupta 2017), equal fractions of what is left, or all at once.",
    ),
    rounds,
  },
  atOnce: { schedule: z.literal("one-shot") },
};

const sparsity = {
  sparsity: z.number().min(0).lt(1).default(0.5).describe(
    "--sparsity: Goal: fraction of the weights to remove.",
  ),
};

const cost = {
  cost: z.enum(["parameters", "multiplyAdds", "bytes"]).describe(
    "Goal: what the pruned network may cost: trained numbers, multiply-adds for an image, bytes of stored numbers.",
  ),
  max: z.number().gt(0).describe("Maximum of that: below 1 a fraction of what there is, else a count."),
};

const confidence = {
  confidence: z.union([share, z.literal("auto")]).describe(
    `--confidence: Goal: remove the weights whose confidence lies below this, to a fixed point; auto takes ${autoConfidence} and keeps the sparsest network that validation does not tell from the best.`,
  ),
};

const regrow = {
  regrow: share.describe(
    "--regrow: Bring removed weights back whose gradient says with this confidence that they are not zero; above the confidence.",
  ),
};

const pattern = {
  pattern: z.strictObject({
    keep: z.int().min(1).describe("Weights that are kept of each group."),
    of: z.int().min(1).max(largestPattern).describe("Neighbouring columns that make a group."),
  }).refine(({ keep, of }) => keep <= of, patternWanted).meta({
    description: "Goal: N:M sparsity, which granularity N:M sets too.",
    wanted: patternWanted,
  }),
};

const fisher = z.enum(["batch", "example", "sampled"]).default("batch").describe(
  "--fisher: Fisher information from batches of 16, from single examples (slower), or from labels drawn from the predictions.",
);

const byConfidence = {
  by: z.literal("confidence").optional().default("confidence").describe(
    "--criterion: Score by which weights are kept; magnitude with refit, whose stages were measured by it, unless given.",
  ),
  prior: z.enum(["evidence", "matched"]).default("evidence").describe(
    "--prior: Prior of the confidence: its precision from the evidence, or matched to the weights' mean square.",
  ),
  fisher,
  temperature: positive.default(1),
};

/** How weights are scored. */
export const scoreTree = z.discriminatedUnion("by", [
  z.strictObject({
    ...byConfidence,
    temperature: z.union([positive, z.literal("validation")]).default(1).describe(
      "Temperature of the posterior: divides the Fisher information, above 1 to trust the data less; chosen on validation where that stands there.",
    ),
  }),
  z.strictObject({ by: z.enum(fisherCriteria).exclude(["confidence"]), fisher }),
  z.strictObject({ by: z.enum(criteria).exclude(fisherCriteria) }),
]);

const protectWanted = "a list of names of layers, none of them empty or twice";

const protect = z.array(z.string().min(1)).refine(
  (names) => new Set(names).size === names.length,
  protectWanted,
).default([]).meta({
  description: "--protect: Layers that lose nothing, neither filters nor inputs.",
  wanted: protectWanted,
});

const limited = {
  floor: z.number().min(0).max(1).default(0).describe(
    "--floor: Least fraction of its weights, filters, channels or blocks that a layer keeps.",
  ),
  protect,
};

const ranked = {
  scope: z.enum(["global", "layer"]).optional().meta({
    description:
      `--scope: To a sparsity or a cost, rank all layers together, or take the same share of each; ${channelDefaults.scope} where channels go to a cost.`,
    default: "global",
  }),
  ...limited,
};

const perCost = z.boolean().default(false).describe(
  "--per-cost: Rank groups by their worth for each weight that goes with them, or multiply-add where those are the goal.",
);

const side = (of: string) => z.int().min(1).max(999_999_999).describe(`Neighbouring ${of} of a block.`);
const block = z.strictObject({ rows: side("rows"), channels: side("columns") });
const filterOrBlock = z.union([z.literal("filter"), block]);

const elementAlone = z.literal("element").optional().default("element");
const element = elementAlone.meta({
  description: "What goes as one: single weights, filters, coupled channels, or blocks of rows and columns.",
  wanted: 'element, filter, channel, or {"rows": R, "channels": C} for blocks',
});

const roundTo = z.int().min(1);
const roundToDescription =
  `--round-to: Keep channel counts a multiple of this in layers that are pruned; ${channelDefaults.roundTo} where they go to a cost.`;

/** What is ranked to a sparsity or a cost. */
const rankedSelect = z.union([
  z.strictObject({ granularity: element, ...ranked }),
  z.strictObject({
    granularity: z.literal("channel"),
    ...ranked,
    roundTo: roundTo.optional().meta({ description: roundToDescription, default: 1 }),
    perCost,
  }),
  z.strictObject({ granularity: filterOrBlock, ...ranked, perCost }),
]);

/** What may go by a threshold, which says what each layer loses, and is no score for each unit of cost. */
const thresholdSelect = z.union([
  z.strictObject({ granularity: element, ...limited }),
  z.strictObject({ granularity: z.literal("channel"), ...limited, roundTo: roundTo.default(1) }),
  z.strictObject({ granularity: filterOrBlock, ...limited }),
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
      `--refit: Give kept weights new values after each removal, so that the network computes what it did before: layers fits each layer by least squares; then blocks trains one stage after the other, end-to-end all at once, with the logits, without labels and for --refit-steps steps (${refitTraining.steps} by default, whatever --limit is).`,
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

const shared = {
  after: after.prefault({}),
  finetune: finetuneTree.prefault({}),
  compare: z.boolean().default(true).meta({
    description:
      "--compare: Prune the same trained network by the other criteria too, and report their accuracy.",
    without: "Do not prune the same trained network by the other criteria too.",
  }),
};

/** To a sparsity or a cost, by any criterion. */
const toAmount = z.strictObject({
  goal: z.union([
    z.strictObject({ ...sparsity, ...ways.inRounds }),
    z.strictObject({ ...sparsity, ...ways.atOnce }),
    z.strictObject({ ...cost, ...ways.inRounds }),
    z.strictObject({ ...cost, ...ways.atOnce }),
  ]).prefault({}),
  score: scoreTree.optional(),
  select: rankedSelect.prefault({}),
  ...shared,
});

/** To a threshold of the confidence, whose meaning a temperature chosen anew in each round would move. */
const toConfidence = z.strictObject({
  goal: z.strictObject({ ...confidence, rounds }),
  score: z.strictObject(byConfidence).prefault({}),
  select: thresholdSelect.prefault({}),
  ...shared,
});

/** To a threshold with regrowth: single weights come back by the gradients of the given labels. */
const regrowing = z.strictObject({
  goal: z.strictObject({ ...confidence, ...regrow, rounds }),
  score: z.strictObject({ ...byConfidence, fisher: z.enum(["batch", "example"]).default("batch") }).prefault(
    {},
  ),
  select: z.strictObject({ granularity: elementAlone, ...limited }).prefault({}),
  ...shared,
});

/** To a pattern, which says how many weights of each group go, at once. */
const toPattern = z.strictObject({
  goal: z.strictObject(pattern),
  score: scoreTree.optional(),
  select: z.strictObject({ granularity: elementAlone, protect }).prefault({}),
  ...shared,
});

/** The branch `prune`: what each kind of goal leaves to say. */
export const pruneTree = z.union([toAmount, toConfidence, regrowing, toPattern]);

type PruneKeys = z.output<typeof pruneTree>;

/** What is pruned to a sparsity or a cost. */
export type AmountKeys = z.output<typeof toAmount>;

/** True where the goal is a sparsity or a cost. */
export function hasAmount(prune: PruneKeys): prune is AmountKeys {
  return "sparsity" in prune.goal || "cost" in prune.goal;
}

/** True where the goal is a pattern. */
export function hasPattern(prune: PruneKeys): prune is z.output<typeof toPattern> {
  return "pattern" in prune.goal;
}

/** True where a refit may choose which weights go: single ones that stay removed. */
export function mayChooseWeights({ goal, select }: Pick<PruneKeys, "goal" | "select">): boolean {
  return select.granularity === "element" && !("pattern" in goal) && !("regrow" in goal);
}

/** True where validation examples choose the round whose network is kept. */
export function choosesRound(goal: PruneKeys["goal"]): boolean {
  return "confidence" in goal && goal.confidence === "auto";
}

/** The most rounds that a goal takes; Infinity for as many as it needs. */
export function countRounds(goal: PruneKeys["goal"]): number {
  if ("confidence" in goal) return goal.rounds ?? Infinity;
  return "rounds" in goal && goal.rounds !== undefined ? goal.rounds : 1;
}
