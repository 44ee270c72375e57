/** Tests of what a configuration is refused with: the path, its value and what is expected. */

import { parseRunConfig, type RunConfigInput } from "../../src/config/config.ts";
import { joinKeys, keysAt } from "../../src/config/nodes.ts";
import { assertRefused } from "../helpers/refused_config.ts";

Deno.test("parseRunConfig() refuses numbers that become 0, 1 or infinite as floats of 32 bits", () => {
  const keys = [
    "learningRate",
    "mixup",
    ...["weightDecay", "l1", "clip.norm", "clip.value"].map((key) => `optimizer.${key}`),
  ];
  const values = [1e300, 1e-300, 1e39, 1e-46];
  const cases = [
    ...keys.flatMap((key) => values.map((value) => [`train.${key}`, value, {}] as const)),
    ...values.flatMap((value) => [
      ["train.distillation.temperature", value, { share: 0.5 }] as const,
      ["train.distillation.features.weight", value, {}] as const,
      ["prune.score.temperature", value, {}] as const,
    ]),
    ["train.optimizer.momentum", 0.999999999, {}] as const,
    ["train.averaging.decay", 0.999999999, { kind: "ema" }] as const,
    ["train.averaging.decay", 1e-300, { kind: "ema" }] as const,
  ];
  for (const [path, value, beside] of cases) {
    const [key, ...parents] = path.split(".").reverse(), parent = parents.reverse().join(".");
    const config = keysAt(parent, { ...beside, [key]: value });
    const share = path.includes("features") ? keysAt("train.distillation.share", 0.5) : {};
    assertRefused(joinKeys(config, share, null), `Cannot use "${path}": ${value}`);
  }
  for (const key of ["mixup", "optimizer.weightDecay", "optimizer.l1"]) {
    parseRunConfig(keysAt(`train.${key}`, 0), "a test");
  }
});

Deno.test("parseRunConfig() names the path, its value and what is expected", () => {
  const positive = "a finite number from 1e-12 to 1000000000000";
  const cases: readonly (readonly [string, unknown, string])[] = [
    ["train.epochs", 0, "a whole number, at least 1, or weights to start from"],
    ["train.epochs", 1.5, "a whole number, at least 0"],
    ["train.batch", "64", "a whole number, at least 1"],
    ["train.batch", -1, "a whole number, at least 1"],
    ["train.learningRate", 0, positive],
    ["train.learningRate", NaN, positive],
    ["train.learningRate", Infinity, positive],
    ["train.optimizer.momentum", 1, "a finite number from 0 to 0.9999999"],
    ["train.optimizer.weightDecay", -1e-4, `0 or ${positive}`],
    ["train.optimizer.kind", "rmsprop", "one of sgd, nesterov, adam, adamw"],
    ["train.optimizer.decayBias", 0, "true or false"],
    ["train.optimizer.clip.norm", -1, positive],
    ["train.labelSmoothing", 1, "a finite number in [0, 1)"],
    ["train.schedule.kind", "linear", "one of step, constant, cosine, one-cycle"],
    ["train.schedule.milestones", [1], "a list of rising fractions in (0, 1)"],
    ["train.schedule.milestones", [0.5, 0.5], "a list of rising fractions in (0, 1)"],
    ["train.schedule.milestones", [0.5, "x"], "a list of rising fractions in (0, 1)"],
    ["train.schedule.milestones", "0.5,0.75", "a list of rising fractions in (0, 1)"],
    ["train.schedule.gamma", 1, "a finite number in (0, 1)"],
    ["train.schedule.warmup", 1, "a finite number in [0, 1)"],
    ["train.averaging.kind", "swa", "one of mean, ema, none"],
    ["train.averaging.recalibrate", true, "one of none, plain, augmented"],
    ["train.mixup", -0.2, `0 or ${positive}`],
    ["train.distillation.share", 1.5, "a finite number in (0, 1]"],
    ["seed", -1, "a whole number from 0 to 4294967295"],
    ["seed", 2 ** 32, "a whole number from 0 to 4294967295"],
    ["data.limit", null, "a whole number, at least 0"],
    ["data.calibration", 0, "a whole number, at least 1"],
    ["model.source", "", "a text that is not empty"],
    ["model.mean", [0.5, "x"], "a list of numbers, one for each channel"],
    ["device.adapter", "gpu", "one of auto, high-performance, low-power, fallback"],
    ["validation.examples", 0, "a whole number, at least 1"],
    ["prune.goal.sparsity", 1, "a finite number in [0, 1)"],
    ["prune.goal.confidence", 0, "auto or a finite number in (0, 1)"],
    ["prune.goal.pattern", { keep: 4, of: 2 }, '{"keep": N, "of": M}, N at most M'],
    ["prune.goal.rounds", 0, "a whole number, at least 1"],
    ["prune.goal.schedule", "linear", "one of gradual, iterative, one-shot"],
    ["prune.score.fisher", "exact", "one of batch, example, sampled"],
    ["prune.score.by", "best", "one of confidence, obd, magnitude"],
    ["prune.score.temperature", 0, `validation or ${positive}`],
    ["prune.score.temperature", "best", `validation or ${positive}`],
    ["prune.select.granularity", "4x4", 'element, filter, channel, or {"rows": R, "channels": C}'],
    ["prune.select.scope", "local", "one of global, layer"],
    ["prune.select.floor", 1.1, "a finite number from 0 to 1"],
    ["prune.select.protect", ["a", ""], "a list of names of layers"],
    ["prune.select.protect", ["a", "a"], "a list of names of layers"],
    ["prune.after.recalibrate", "all", "one of none, plain, augmented"],
    ["prune.finetune.epochs", -1, "0 or a whole number, at least 1"],
    ["prune.select.granularity", { rows: 3 }, "element, filter, channel, or {"],
    ["output.store", "zip", "one of dense, sparse"],
    ["output.force", 1, "true or false"],
    ["train", 3, "an object of keys and values"],
    ["train.optimizer", "adam", "an object of keys and values"],
  ];
  for (const [path, value, wanted] of cases) {
    const shown = typeof value === "number" ? String(value) : JSON.stringify(value);
    assertRefused(keysAt(path, value), `Cannot use "${path}": ${shown} from`, `expected ${wanted}`);
  }
});

Deno.test("parseRunConfig() names what is missing of a part, and what is needed to be there", () => {
  assertRefused({ validation: {} }, '"validation.examples": absent', "a whole number, at least 1");
  assertRefused({ train: { distillation: { temperature: 3 } } }, '"train.distillation.share": absent');
  assertRefused(
    { prune: { goal: { cost: "bytes" } } },
    '"prune.goal.max": absent',
    "a finite number, above 0",
  );
});

Deno.test("parseRunConfig() refuses an unknown key and offers the nearest", () => {
  assertRefused({ epoch: 3 }, '"epoch"', 'expected "train.epochs"');
  assertRefused({ train: { epoch: 3 } }, '"train.epoch": an unknown key', 'expected "epochs"');
  assertRefused({ train: { optimizer: { moment: 3 } } }, '"train.optimizer.moment"', 'expected "momentum"');
  assertRefused({ qqq: 3 }, '"qqq"', "expected one of seed, data, model,");
});

Deno.test("parseRunConfig() says where a key belongs that another kind has", () => {
  const cases: readonly (readonly [RunConfigInput | object, string, string])[] = [
    [
      { train: { optimizer: { kind: "adam", momentum: 0.5 } } },
      "train.optimizer.momentum",
      "train.optimizer.kind is sgd or nesterov",
    ],
    [
      { train: { optimizer: { beta1: 0.5 } } },
      "train.optimizer.beta1",
      "train.optimizer.kind is adam or adamw",
    ],
    [{ train: { schedule: { floor: 0.1 } } }, "train.schedule.floor", "train.schedule.kind is cosine"],
    [
      { train: { schedule: { kind: "one-cycle", warmup: 0.1 } } },
      "train.schedule.warmup",
      "is step or constant or cosine",
    ],
    [
      { train: { averaging: { kind: "none", from: 0 } } },
      "train.averaging.from",
      "train.averaging.kind is mean or ema",
    ],
    [{ train: { averaging: { decay: 0.9 } } }, "train.averaging.decay", "train.averaging.kind is ema"],
    [
      { prune: { score: { by: "taylor", fisher: "batch" } } },
      "prune.score.fisher",
      "prune.score.by is confidence or obd",
    ],
    [
      { prune: { score: { by: "obd", temperature: 2 } } },
      "prune.score.temperature",
      "prune.score.by is confidence",
    ],
    [
      { prune: { select: { granularity: "filter", roundTo: 4 } } },
      "prune.select.roundTo",
      "granularity is channel",
    ],
    [
      { prune: { select: { perCost: true } } },
      "prune.select.perCost",
      "granularity is channel or filter or blocks",
    ],
  ];
  for (const [value, path, wanted] of cases) {
    assertRefused(value, `"${path}": `, "expected none unless", wanted);
  }
  assertRefused({ prune: { goal: { sparsity: 0.5, confidence: 0.9 } } }, "none beside prune.goal.confidence");
  assertRefused(
    { train: { optimizer: { clip: { norm: 1, value: 1 } } } },
    '"train.optimizer.clip.value": 1',
    "none beside norm",
  );
  assertRefused(
    { train: { optimizer: { kind: "nesterov", momentum: 0 } } },
    '"train.optimizer.momentum": 0',
    "a finite number in (0, 0.9999999] beside train.optimizer.kind nesterov",
  );
  assertRefused(
    { prune: { goal: { sparsity: 0.5, regrow: 0.9 } } },
    '"prune.goal.regrow": 0.9',
    "none beside prune.goal.sparsity",
  );
  assertRefused({ prune: { after: { refit: {}, recalibrate: "plain" } } }, "prune.after.", "none beside");
  assertRefused(
    { prune: { after: { refit: { steps: 9 } } } },
    "prune.after.refit.steps",
    "none unless prune.after.refit.by is blocks or end-to-end",
  );
  const wrong = { by: "all", selectionSteps: "x" };
  assertRefused({ prune: { after: { refit: wrong } } }, "prune.after.refit.by", "one of layers, blocks");
  assertRefused(
    { prune: { after: { refit: { selectionSteps: "x" } } } },
    "prune.after.refit.selectionSteps",
    "a whole number, at least 0",
  );
});

Deno.test("parseRunConfig() refuses what is no object, and cuts long values", () => {
  for (const value of [null, [], 3, "x", undefined]) assertRefused(value, '"config"', "an object");
  assertRefused({ prune: { score: { by: "x".repeat(1000) } } }, "xxx...");
});
