/** Tests of the configuration's schema, errors and descriptions. */

import assert from "node:assert/strict";
import {
  describeConfig,
  parseRunConfig,
  type RunConfigInput,
  runConfigSchema,
} from "../../src/config/config.ts";
import { joinKeys, valuesByPath } from "../../src/config/nodes.ts";
import { channelDefaults } from "../../src/config/prune.ts";
import { scoreBy } from "../../src/config/schema.ts";
import { readGranularity } from "../../src/config/words.ts";
import { ConfigError } from "../../src/errors.ts";

/** What a configuration comes to; its type is that of what users write. */
const parse = (value: RunConfigInput) => parseRunConfig(value, "run.json");

/** Asserts that a value is refused with one line that holds all the given texts. */
function assertRefused(value: unknown, ...texts: readonly string[]): void {
  assert.throws(() => parseRunConfig(value, "run.json"), (error) => {
    assert(error instanceof ConfigError);
    assert(!error.message.includes("\n"));
    for (const text of [...texts, "run.json"]) assert(error.message.includes(text), error.message);
    return true;
  });
}

/** The object with a value at a path. */
function at(path: string, value: unknown): Record<string, unknown> {
  return path.split(".").reduceRight<unknown>((part, key) => ({ [key]: part }), value) as Record<
    string,
    unknown
  >;
}

Deno.test("parseRunConfig() fills in every default that describeConfig() names", () => {
  const values = new Map(valuesByPath(parse({})));
  // Not keys of other kinds, nor of parts that are not there.
  const isAbsent = /^(validation|train\.distillation|prune\.after\.refit)\b/;
  const there = describeConfig().filter(({ key, under, kind }) =>
    values.has(key) || !under && kind !== "part" && !isAbsent.test(key)
  );
  assert(there.length > 50);
  for (const { key, default: preset } of there) assert.deepEqual(values.get(key), preset, key);
});

Deno.test("parseRunConfig() takes its own result, so that a printed configuration can be used", () => {
  const given: readonly RunConfigInput[] = [
    {},
    { prune: { goal: { confidence: 0.95, regrow: 0.99 } } },
    { seed: 7, prune: { goal: { sparsity: 0 }, select: { granularity: { rows: 4, channels: 2 } } } },
    { train: { optimizer: { kind: "adam" }, schedule: { kind: "cosine" }, averaging: { kind: "none" } } },
    { validation: { examples: 9 }, prune: { after: { refit: {} }, score: { temperature: "validation" } } },
  ];
  for (const value of given) {
    const config = parse(value), text = JSON.stringify(config);
    assert.deepEqual(parseRunConfig(JSON.parse(text), "run.json"), config);
    // To the byte, as reports of runs that went on are.
    assert.equal(JSON.stringify(parseRunConfig(JSON.parse(text), "run.json")), text);
    const turned = Object.fromEntries(Object.entries(value).reverse());
    assert.equal(JSON.stringify(parseRunConfig(turned, "run.json")), text);
  }
});

Deno.test("parseRunConfig() trains for no epoch before pruning where weights come from a file, unless told to", () => {
  const epochsOf = (model: RunConfigInput["model"], train = {}) => parse({ model, train }).train.epochs;
  assert.equal(epochsOf({ source: "resnet20" }), 12);
  assert.equal(epochsOf({ source: "resnet20", weights: "a" }), 0);
  assert.equal(epochsOf({ source: "a.safetensors" }), 0);
  assert.equal(epochsOf({ source: "a.safetensors" }, { epochs: 3 }), 3);
});

Deno.test("parseRunConfig() gives channels to a cost defaults of their own, others none, and keeps what is given", () => {
  const groupsOf = (goal: object, select: object) => {
    const { scope, roundTo } = parseRunConfig({ prune: { goal, select } }, "a test").prune.select as Record<
      string,
      unknown
    >;
    return { scope, roundTo };
  };
  const usual = { scope: "global", roundTo: 1 }, channels = { granularity: "channel" };
  for (const cost of ["parameters", "multiplyAdds", "bytes"]) {
    const goal = { cost, max: 0.5 };
    assert.deepEqual(groupsOf(goal, channels), channelDefaults);
    assert.deepEqual(groupsOf(goal, { ...channels, ...usual }), usual);
    assert.deepEqual(groupsOf(goal, { ...channels, roundTo: 2 }), { ...channelDefaults, roundTo: 2 });
  }
  assert.deepEqual(groupsOf({}, channels), usual);
  assert.deepEqual(groupsOf({ cost: "parameters", max: 0.5 }, { granularity: "filter" }), {
    scope: "global",
    roundTo: undefined,
  });
});

Deno.test("parseRunConfig() fills in what follows from other keys", () => {
  const pruneOf = (prune: RunConfigInput["prune"]) => parse({ prune }).prune;
  const pattern = { pattern: { keep: 2, of: 4 } };
  assert.deepEqual(pruneOf({ goal: pattern }).goal, pattern);
  assert.deepEqual(
    [{ goal: pattern }, { schedule: "one-shot" as const }, { goal: { confidence: 0.9 } }, {
      after: { refit: {} },
    }, {}]
      .map((prune) => pruneOf(prune).rounds),
    [1, 1, undefined, 5, 3],
  );
  const compactOf = (prune: Record<string, unknown>, output = {}) => parse({ prune, output }).output.compact;
  assert.deepEqual([compactOf({}), compactOf({ goal: pattern }), compactOf({}, { compact: false })], [
    true,
    false,
    false,
  ]);
});

Deno.test("parseRunConfig() holds validation examples out where a confidence auto chooses the round", () => {
  const prune = { goal: { confidence: "auto" as const } };
  const examples = (limit: number) => parse({ prune, data: { limit } }).validation?.examples;
  assert.deepEqual([examples(6000), examples(0), examples(600), examples(3)], [500, 500, 60, 1]);
  assert.equal(parse({ prune, validation: { examples: 7 } }).validation?.examples, 7);
  assert.equal(parse({ prune: { goal: { confidence: 0.683 } } }).validation, undefined);
  assert.throws(() => parse({ prune: { ...prune, allowedDrop: 0.1 }, validation: { examples: 7 } }), {
    message: /prune\.allowedDrop.*none beside confidence auto/,
  });
  assert.throws(() => parse({ prune: { goal: { confidence: "auto", regrow: 0.6 } } }), {
    message: /above the confidence 0\.683/,
  });
});

Deno.test("parseRunConfig() refits kept weights as it was measured to work best, unless told otherwise", () => {
  const by = "layers";
  const read = (prune: RunConfigInput["prune"]) => {
    const { score, after, rounds } = parse({ prune: { after: { refit: {} }, ...prune } }).prune;
    return [score.by, after, rounds];
  };
  assert.deepEqual(read({}), ["magnitude", { refit: { by, selectionSteps: 3 } }, 5]);
  assert.deepEqual(read({ score: { by: "taylor" }, after: { refit: { selectionSteps: 0 } }, rounds: 2 }), [
    "taylor",
    { refit: { by, selectionSteps: 0 } },
    2,
  ]);
  assert.deepEqual(read({ select: { granularity: "channel" } }), ["magnitude", {
    refit: { by, selectionSteps: 0 },
  }, 5]);
  assert.deepEqual(read({ after: { refit: { by: "end-to-end" } } }), ["magnitude", {
    refit: { by: "end-to-end", selectionSteps: 3, steps: 300, learningRate: 0.003 },
  }, 5]);
  assert.deepEqual(read({ goal: { confidence: 0.6 } }), [
    "confidence",
    { refit: { by, selectionSteps: 3 } },
    undefined,
  ]);
  assert.deepEqual(read({ after: {} }), ["confidence", { recalibrate: "augmented" }, 3]);
});

Deno.test("parseRunConfig() refuses numbers that become 0, 1 or infinite as floats of 32 bits", () => {
  const keys = [
    "learningRate",
    "mixup",
    ...["weightDecay", "l1", "clipNorm", "clipValue"].map((key) => `optimizer.${key}`),
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
    const config = at(parent, { ...beside, [key]: value });
    const share = path.includes("features") ? at("train.distillation.share", 0.5) : {};
    assertRefused(joinKeys(config, share, null), `Cannot use "${path}": ${value}`);
  }
  for (const key of ["mixup", "optimizer.weightDecay", "optimizer.l1"]) {
    parseRunConfig(at(`train.${key}`, 0), "a test");
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
    ["train.optimizer.kind", "rmsprop", "one of sgd, adam, adamw"],
    ["train.optimizer.decayBias", 0, "true or false"],
    ["train.optimizer.clipNorm", -1, positive],
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
    ["prune.rounds", 0, "a whole number, at least 1"],
    ["prune.schedule", "linear", "one of one-shot, iterative, gradual"],
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
    ["prune.finetune.epochs", -1, "a whole number, at least 0"],
    ["output.store", "zip", "one of dense, sparse"],
    ["output.force", 1, "true or false"],
    ["train", 3, "an object of keys and values"],
    ["train.optimizer", "adam", "an object of keys and values"],
  ];
  for (const [path, value, wanted] of cases) {
    const shown = typeof value === "number" ? String(value) : JSON.stringify(value);
    assertRefused(at(path, value), `Cannot use "${path}": ${shown} from`, `expected ${wanted}`);
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
      "train.optimizer.kind is sgd",
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
  assertRefused({ prune: { goal: { sparsity: 0.5, confidence: 0.9 } } }, "none beside sparsity");
  assertRefused(
    { prune: { goal: { sparsity: 0.5, regrow: 0.9 } } },
    '"prune.goal.regrow": 0.9',
    "none beside sparsity",
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
  for (const value of accepted) parse(value);
});

Deno.test("joinKeys() lets another branch take the place of the old one, and keeps what both have", () => {
  const before = parse({
    train: { optimizer: { weightDecay: 0.1, momentum: 0.8 } },
    prune: { goal: { confidence: 0.9, regrow: 0.95 } },
  });
  const joined = (set: RunConfigInput) => joinKeys(before, set) as unknown as typeof before;
  const { momentum: _, nesterov: __, ...shared } = before.train.optimizer as unknown as Record<
    string,
    unknown
  >;
  assert.deepEqual(joined({ train: { optimizer: { kind: "adam" } } }).train.optimizer, {
    ...shared,
    kind: "adam",
  });
  assert.deepEqual(joined({ train: { optimizer: { momentum: 0.5 } } }).train.optimizer, {
    ...before.train.optimizer,
    momentum: 0.5,
  });
  assert.deepEqual(joined({ prune: { goal: { sparsity: 0.5 } } }).prune.goal, { sparsity: 0.5 });
  assert.deepEqual(joined({ prune: { goal: { confidence: 0.5 } } }).prune.goal, {
    confidence: 0.5,
    regrow: 0.95,
  });
  assert.deepEqual(joined({ prune: { after: { refit: {} } } }).prune.after, { refit: {} });
  assert.deepEqual(joined({ prune: { select: { granularity: "channel" } } }).prune.select, {
    ...before.prune.select,
    granularity: "channel",
  });
  const { schedule } = joined({ train: { schedule: { kind: "cosine" } } }).train;
  assert.deepEqual(schedule, { kind: "cosine", warmup: 0 });
  // What was set is never dropped, so that it is refused.
  assertRefused(
    joinKeys(before, { train: { optimizer: { kind: "adam", momentum: 0.5 } } }),
    "train.optimizer.momentum",
  );
  assertRefused(joinKeys(before, { prune: { goal: { sparsity: 0.5, confidence: 0.9 } } }), "prune.goal.");
});

Deno.test("scoreBy() keeps of a score what another criterion reads too", () => {
  const { score } =
    parse({ prune: { score: { prior: "matched", fisher: "example", temperature: 2 } } }).prune;
  assert.deepEqual(scoreBy(score, "confidence"), score);
  assert.deepEqual(scoreBy(score, "obd"), { by: "obd", fisher: "example" });
  assert.deepEqual(scoreBy(score, "lamp"), { by: "lamp" });
  assert.deepEqual(scoreBy({ by: "lamp" }, "confidence"), parse({}).prune.score);
});

Deno.test("readGranularity() reads blocks and patterns", () => {
  assert.deepEqual(readGranularity("8x1"), { rows: 8, channels: 1 });
  assert.deepEqual(readGranularity("2:4"), { keep: 2, of: 4 });
  for (const text of ["", "2:", "x2", "2:4:8", "5:4", "1:33", "01x1", "-1x1", "0x4"]) {
    assert.equal(readGranularity(text), undefined, text);
  }
});

Deno.test("runConfigSchema parses like parseRunConfig()", () => {
  assert.deepEqual(runConfigSchema.parse({ train: { epochs: 2 } }), parse({ train: { epochs: 2 } }));
  assert.equal(runConfigSchema.safeParse({ train: { epochs: 0 } }).success, false);
});

Deno.test("describeConfig() gives short names, choices of all branches, and the kinds that have a key", () => {
  const byKey = new Map(describeConfig().map((field) => [field.key, field]));
  const { flag, group, under } = byKey.get("train.optimizer.momentum")!;
  assert.deepEqual([flag, group, under], ["momentum", "train.optimizer", ["sgd"]]);
  assert.equal(byKey.get("train.optimizer.beta1")?.flag, "train.optimizer.beta1");
  assert.deepEqual(byKey.get("train.schedule.kind")?.choices, ["step", "constant", "cosine", "one-cycle"]);
  const { kind, choices, default: preset } = byKey.get("prune.score.temperature")!;
  assert.deepEqual([kind, choices, preset], ["number", ["validation"], 1]);
  for (const { description, key } of byKey.values()) assert.match(description, /^[A-Z].*\.$/, key);
  assert.equal(byKey.size, describeConfig().length, "each path once");
});
