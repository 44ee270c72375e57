/** Tests of what a configuration may not say together. */

import { parseRunConfig, type RunConfigInput } from "../../src/config/config.ts";
import { assertRefused } from "../helpers/refused_config.ts";

const pattern = { pattern: { keep: 2, of: 4 } }, confidence = { confidence: 0.9 };
const regrow = { ...confidence, regrow: 0.95 }, cost = { cost: "parameters", max: 0.5 } as const;

/** What a configuration says, the path that is refused, and what is wanted there. */
type Refusals = readonly (readonly [config: object, path: string, wanted: string])[];

Deno.test("parseRunConfig() refuses what a kind of goal does not leave to say", () => {
  const cases: Refusals = [
    [
      { goal: { schedule: "one-shot", rounds: 3 } },
      "goal.rounds",
      "none unless prune.goal.schedule is gradual or",
    ],
    [{ goal: { ...pattern, rounds: 2 } }, "goal.rounds", "none beside prune.goal.pattern"],
    [{ goal: { ...pattern, schedule: "iterative" } }, "goal.schedule", "none beside prune.goal.pattern"],
    [
      { goal: pattern, select: { granularity: "filter" } },
      "select.granularity",
      '"element" beside prune.goal.pattern',
    ],
    [{ goal: pattern, select: { scope: "layer" } }, "select.scope", "none beside prune.goal.pattern"],
    [{ goal: pattern, select: { floor: 0.1 } }, "select.floor", "none beside prune.goal.pattern"],
    [{ goal: confidence, score: { by: "l1" } }, "score.by", '"confidence" beside prune.goal.confidence'],
    [{ goal: confidence, score: { by: "obd", fisher: "batch" } }, "score.by", '"confidence" beside'],
    [
      { goal: { ...confidence, schedule: "iterative" } },
      "goal.schedule",
      "none beside prune.goal.confidence",
    ],
    [{ goal: confidence, select: { scope: "layer" } }, "select.scope", "none beside prune.goal.confidence"],
    [
      { goal: confidence, select: { granularity: "channel", perCost: true } },
      "select.perCost",
      "none beside prune.goal.confidence",
    ],
    [
      { goal: confidence, score: { temperature: "validation" } },
      "score.temperature",
      "a finite number from 1e-12 to 1000000000000 beside prune.goal.confidence",
    ],
    [
      { goal: regrow, select: { granularity: "filter" } },
      "select.granularity",
      '"element" beside prune.goal.regrow',
    ],
    [
      { goal: regrow, score: { fisher: "sampled" } },
      "score.fisher",
      "one of batch, example beside prune.goal.regrow",
    ],
    [{ goal: { regrow: 0.9 } }, "goal.confidence", "auto or a finite number in (0, 1)"],
    [{ goal: { ...cost, confidence: 0.9 } }, "goal.confidence", "none beside prune.goal.cost"],
    [
      { finetune: { epochs: 0, rewind: 0 } },
      "finetune.rewind",
      "none unless prune.finetune.epochs is a whole number, at least 1",
    ],
  ];
  for (const [prune, path, wanted] of cases) {
    assertRefused({ validation: { examples: 9 }, prune }, `"prune.${path}"`, "expected ", wanted);
  }
});

Deno.test("parseRunConfig() refuses values that contradict each other or would do nothing", () => {
  const refit = (selectionSteps: number) => ({ after: { refit: { selectionSteps } } });
  const cases: Refusals = [
    [
      { train: { optimizer: { decayBias: false, weightDecay: 0 } } },
      "train.optimizer.decayBias",
      "true unless weightDecay or l1",
    ],
    [
      { train: { mixup: 0.2, batch: 1, accumulate: 8 } },
      "train.mixup",
      "0 beside a batch of 1, which makes no pairs",
    ],
    [
      { train: { distillation: { share: 0.5 } }, prune: { finetune: { epochs: 0 } } },
      "train.distillation",
      "none unless",
    ],
    [{ prune: { goal: pattern }, output: { compact: true } }, "output.compact", "false beside a pattern"],
    [
      { prune: { goal: pattern, ...refit(3) } },
      "prune.after.refit.selectionSteps",
      "0 unless single weights go",
    ],
    [
      { prune: { select: { granularity: "filter" }, ...refit(3) } },
      "prune.after.refit.selectionSteps",
      "0 unless",
    ],
    [{ prune: { goal: regrow, ...refit(3) } }, "prune.after.refit.selectionSteps", "beside regrow"],
    [{ prune: { goal: { cost: "bytes", max: 0.5 } } }, "prune.goal.cost", 'unless output.store is "sparse"'],
    [
      { prune: { goal: cost, select: { granularity: "channel" } }, output: { compact: false } },
      "output.compact",
      "true beside a cost and granularity channel",
    ],
    [{ prune: { goal: { confidence: 0.9, regrow: 0.9 } } }, "prune.goal.regrow", "above the confidence 0.9"],
    [
      { model: { weights: "a" }, prune: { score: { by: "snr" } } },
      "prune.score.by",
      "another than snr without epochs",
    ],
    [
      { train: { averaging: { kind: "none" } }, prune: { score: { by: "snr" } } },
      "prune.score.by",
      "that are averaged",
    ],
    [
      { prune: { score: { temperature: "validation" } } },
      "prune.score.temperature",
      "a number without validation",
    ],
    [
      { train: { distillation: { share: 1, teacher: "resnet20" } } },
      "train.distillation.teacher",
      "the path of a .safetensors file",
    ],
  ];
  for (const [value, path, wanted] of cases) assertRefused(value, `"${path}"`, "expected ", wanted);
});

Deno.test("parseRunConfig() takes what goes together", () => {
  const accepted: readonly RunConfigInput[] = [
    { train: { optimizer: { kind: "nesterov" }, schedule: { kind: "cosine", floor: 0.1, warmup: 0.1 } } },
    {
      train: {
        schedule: { kind: "one-cycle", peakAt: 0.5 },
        averaging: { kind: "ema", decay: 0.9, from: 0 },
      },
    },
    { train: { optimizer: { decayBias: false, weightDecay: 0, l1: 1e-5 }, averaging: { kind: "none" } } },
    { train: { distillation: { share: 1, features: { weight: 1, maps: "stages" } } } },
    { prune: { goal: pattern, select: { protect: ["conv1", "fc2"] } } },
    {
      prune: {
        goal: { ...cost, schedule: "iterative" },
        select: { granularity: { rows: 8, channels: 1 }, scope: "layer", floor: 0.1 },
      },
    },
    {
      prune: {
        goal: { cost: "bytes", max: 0.5, schedule: "one-shot" },
        select: { granularity: "channel", roundTo: 4, perCost: true },
      },
    },
    {
      validation: { examples: 100, patience: 3, measure: "loss", allowedDrop: 0.01 },
      prune: { goal: { ...regrow, rounds: 9 }, score: { fisher: "example" } },
    },
    { prune: { goal: confidence, select: { granularity: "channel", roundTo: 4 } } },
    { prune: { goal: { cost: "bytes", max: 1e5 } }, output: { store: "sparse", compact: true } },
    { prune: { score: { by: "snr" }, finetune: { epochs: 0 } }, output: { checkpointEvery: 9 } },
    { validation: { examples: 9 }, prune: { goal: pattern, score: { temperature: "validation" } } },
  ];
  for (const value of accepted) parseRunConfig(value, "run.json");
});
