/** Tests of what a configuration may not say together. */

import { parseRunConfig, type RunConfigInput } from "../../src/config/config.ts";
import { assertRefused } from "../helpers/refused_config.ts";

Deno.test("parseRunConfig() refuses values that contradict each other or would do nothing", () => {
  const pattern = { pattern: { keep: 2, of: 4 } }, cost = { cost: "parameters", max: 0.5 } as const;
  const refit = (selectionSteps: number) => ({ after: { refit: { selectionSteps } } });
  const cases: readonly (readonly [RunConfigInput, string, string])[] = [
    [
      { train: { optimizer: { nesterov: true, momentum: 0 } } },
      "train.optimizer.momentum",
      "above 0 under nesterov",
    ],
    [
      { train: { optimizer: { clipNorm: 1, clipValue: 1 } } },
      "train.optimizer.clipValue",
      "none beside a clipNorm",
    ],
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
    [
      { prune: { finetune: { epochs: 0, rewind: 0 } } },
      "prune.finetune.rewind",
      "0.75 unless prune.finetune.epochs",
    ],
    [{ prune: { schedule: "one-shot", rounds: 3 } }, "prune.rounds", "1 under prune.schedule one-shot"],
    [{ prune: { allowedDrop: 0.01 } }, "prune.allowedDrop", "none without validation examples"],
    [{ prune: { goal: pattern, rounds: 2 } }, "prune.rounds", "1 beside a pattern"],
    [{ prune: { goal: pattern, schedule: "iterative" } }, "prune.schedule", '"one-shot" or "gradual" beside'],
    [
      { prune: { goal: pattern, select: { granularity: "filter" } } },
      "prune.select.granularity",
      '"element" beside',
    ],
    [
      { prune: { goal: pattern, select: { scope: "layer" } } },
      "prune.select.scope",
      '"global" beside a pattern',
    ],
    [{ prune: { goal: pattern, select: { floor: 0.1 } } }, "prune.select.floor", "0 beside a pattern"],
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
    [
      { prune: { goal: { confidence: 0.5, regrow: 0.9 }, ...refit(3) } },
      "prune.after.refit.selectionSteps",
      "beside regrow",
    ],
    [{ prune: { goal: { cost: "bytes", max: 0.5 } } }, "prune.goal.cost", 'unless output.store is "sparse"'],
    [
      { prune: { goal: cost, select: { granularity: "channel" } }, output: { compact: false } },
      "output.compact",
      "true beside a cost and granularity channel",
    ],
    [{ prune: { goal: { confidence: 0.9 }, score: { by: "l1" } } }, "prune.score.by", '"confidence" beside'],
    [
      { prune: { goal: { confidence: 0.9 }, schedule: "iterative" } },
      "prune.schedule",
      '"gradual" beside a confidence',
    ],
    [
      { prune: { goal: { confidence: 0.9 }, select: { scope: "layer" } } },
      "prune.select.scope",
      '"global" beside',
    ],
    [
      { prune: { goal: { confidence: 0.9 }, select: { granularity: "channel", perCost: true } } },
      "prune.select.perCost",
      "false beside a confidence",
    ],
    [{ prune: { goal: { confidence: 0.9, regrow: 0.9 } } }, "prune.goal.regrow", "above the confidence 0.9"],
    [
      { prune: { goal: { confidence: 0.9, regrow: 0.95 }, select: { granularity: "filter" } } },
      "prune.goal.regrow",
      "none unless granularity is element",
    ],
    [
      { prune: { goal: { confidence: 0.9, regrow: 0.95 }, score: { fisher: "sampled" } } },
      "prune.goal.regrow",
      "none beside fisher sampled",
    ],
    [
      { model: { weights: "a" }, prune: { score: { by: "snr" } } },
      "prune.score.by",
      "another than snr without epochs",
    ],
    [
      { train: { averaging: { kind: "none" } }, prune: { score: { by: "snr" } } },
      "prune.score.by",
      "averaging none",
    ],
    [
      { prune: { score: { temperature: "validation" } } },
      "prune.score.temperature",
      "a number without validation",
    ],
    [
      {
        validation: { examples: 9 },
        prune: { goal: { confidence: 0.9 }, score: { temperature: "validation" } },
      },
      "prune.score.temperature",
      "a number beside a confidence, whose meaning each temperature would move",
    ],
    [
      { train: { distillation: { share: 1, teacher: "resnet20" } } },
      "train.distillation.teacher",
      "the path of a .safetensors file",
    ],
  ];
  for (const [value, path, wanted] of cases) assertRefused(value, `"${path}"`, "expected ", wanted);
  const accepted: readonly RunConfigInput[] = [
    { train: { optimizer: { nesterov: true }, schedule: { kind: "cosine", floor: 0.1, warmup: 0.1 } } },
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
        goal: cost,
        select: { granularity: { rows: 8, channels: 1 }, scope: "layer", floor: 0.1 },
        schedule: "iterative",
      },
    },
    {
      prune: {
        goal: { cost: "bytes", max: 0.5 },
        select: { granularity: "channel", roundTo: 4, perCost: true },
      },
    },
    {
      validation: { examples: 100, patience: 3, measure: "loss" },
      prune: { goal: { confidence: 0.9, regrow: 0.95 }, allowedDrop: 0.01 },
    },
    { prune: { goal: { cost: "bytes", max: 1e5 } }, output: { store: "sparse", compact: true } },
    { prune: { score: { by: "snr" } }, output: { checkpointEvery: 9 } },
    { validation: { examples: 9 }, prune: { goal: pattern, score: { temperature: "validation" } } },
  ];
  for (const value of accepted) parseRunConfig(value, "run.json");
});
