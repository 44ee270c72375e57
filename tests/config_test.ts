/** Tests of the configuration's schema, errors and descriptions. */

import assert from "node:assert/strict";
import {
  channelDefaults,
  describeConfig,
  parsePruneConfig,
  pruneConfigSchema,
  readGranularity,
  renameOld,
} from "../src/config.ts";
import { ConfigError } from "../src/errors.ts";

/** Asserts that a value is refused with one line that holds all the given texts. */
function assertRefused(value: unknown, ...texts: readonly string[]): void {
  assert.throws(() => parsePruneConfig(value, "run.json"), (error) => {
    assert(error instanceof ConfigError);
    assert(!error.message.includes("\n"));
    for (const text of [...texts, "run.json"]) assert(error.message.includes(text), error.message);
    return true;
  });
}

Deno.test("parsePruneConfig() fills in every default that describeConfig() names", () => {
  const config: Record<string, unknown> = { ...parsePruneConfig({}, "run.json") };
  for (const field of describeConfig()) assert.equal(config[field.key], field.default, field.key);
});

Deno.test("parsePruneConfig() takes its own result, so that a printed configuration can be used", () => {
  for (const given of [{}, { confidence: 0.95 }, { sparsity: 0, seed: 7 }]) {
    const config = parsePruneConfig(given, "run.json"), text = JSON.stringify(config);
    assert.deepEqual(parsePruneConfig(JSON.parse(text), "run.json"), config);
    // To the byte, as reports of runs that went on are.
    assert.equal(JSON.stringify(parsePruneConfig(JSON.parse(text), "run.json")), text);
    const turned = Object.fromEntries(Object.entries(given).reverse());
    assert.equal(JSON.stringify(parsePruneConfig(turned, "run.json")), text);
  }
});

Deno.test("parsePruneConfig() trains for no epoch before pruning where weights come from a file, unless told to", () => {
  const epochsOf = (value: unknown) => parsePruneConfig(value, "run.json").epochs;
  assert.equal(epochsOf({ model: "resnet20" }), 12);
  assert.equal(epochsOf({ model: "resnet20", weights: "a" }), 0);
  assert.equal(epochsOf({ model: "a.safetensors" }), 0);
  assert.equal(epochsOf({ model: "a.safetensors", epochs: 3 }), 3);
});

Deno.test("parsePruneConfig() gives channels to a target defaults of their own, others none, and keeps what is given", () => {
  const groupsOf = (value: Record<string, unknown>) => {
    const { scope, roundTo } = parsePruneConfig(value, "run.json");
    return { scope, roundTo };
  };
  const usual = { scope: "global", roundTo: 1 };
  for (const target of ["targetParameters", "targetMultiplyAdds", "targetBytes"]) {
    const goal = { [target]: 0.5, granularity: "channel" };
    assert.deepEqual(groupsOf(goal), channelDefaults);
    assert.deepEqual(groupsOf({ ...goal, ...usual }), usual);
    assert.deepEqual(groupsOf({ ...goal, roundTo: 2 }), { ...channelDefaults, roundTo: 2 });
  }
  for (const value of [{}, { granularity: "channel" }, { granularity: "filter", targetParameters: 0.5 }]) {
    assert.deepEqual(groupsOf(value), usual);
  }
  const help = describeConfig().filter(({ key }) => key in usual).map(({ description }) => description);
  for (const [i, text] of ["; layer where channels", "; 4 where they"].entries()) {
    assert.ok(help[i].includes(text), help[i]);
  }
});

Deno.test("parsePruneConfig() leaves the sparsity out where a confidence is given", () => {
  const config = parsePruneConfig({ confidence: 0.95 }, "run.json");
  assert.deepEqual([config.confidence, config.sparsity], [0.95, undefined]);
});

Deno.test("parsePruneConfig() fills in what follows from other keys", () => {
  const parse = (value: unknown) => parsePruneConfig(value, "run.json");
  for (const value of [{ granularity: "2:4" }, { pruneSchedule: "one-shot" }]) {
    assert.equal(parse(value).rounds, 1);
  }
  assert.deepEqual([parse({ granularity: "2:4" }).sparsity, parse({ targetParameters: 9 }).sparsity], [
    undefined,
    undefined,
  ]);
  assert.deepEqual(["element", "channel"].map((granularity) => parse({ granularity }).compact), [
    false,
    true,
  ]);
  assert.equal(parse({ granularity: "channel", compact: false }).compact, false);
  assert.deepEqual([true, false].map((refit) => parse({ refit }).recalibratePruned), [
    "none",
    "augmented",
  ]);
});

Deno.test("readGranularity() reads blocks and patterns", () => {
  assert.deepEqual(readGranularity("8x1"), { rows: 8, channels: 1 });
  assert.deepEqual(readGranularity("2:4"), { keep: 2, of: 4 });
  for (const text of ["", "2:", "x2", "2:4:8", "5:4", "01x1", "-1x1"]) {
    assert.equal(readGranularity(text), undefined, text);
  }
});

Deno.test("parsePruneConfig() refuses numbers that become 0, 1 or infinite as floats of 32 bits", () => {
  const keys = ["learningRate", "weightDecay", "l1", "clipNorm", "clipValue", "mixup"];
  const values = [1e300, 1e-300, 1e39, 1e-46];
  const cases = [
    ...keys.flatMap((key) => values.map((value) => ({ [key]: value }))),
    ...values.flatMap((value) => [
      { distill: 0.5, temperature: value },
      { distill: 0.5, distillFeatures: value },
      { posteriorTemperature: value },
    ]),
    { momentum: 0.999999999 },
    { averaging: "ema", emaDecay: 0.999999999 },
    { averaging: "ema", emaDecay: 1e-300 },
  ];
  for (const config of cases) {
    const key = Object.keys(config).at(-1)!;
    assert.throws(
      () => parsePruneConfig(config, "a test"),
      (error: Error) => error.message.startsWith(`Cannot use "${key}": `),
      JSON.stringify(config),
    );
  }
  for (const key of keys.slice(1)) parsePruneConfig({ [key]: 0 }, "a test");
});

Deno.test("parsePruneConfig() names the key, its value and what is expected", () => {
  const cases: readonly (readonly [string, unknown, string])[] = [
    ["epochs", 0, "a whole number, at least 1"],
    ["epochs", 1.5, "a whole number, at least 0"],
    ["batch", "64", "a whole number, at least 1"],
    ["batch", -1, "a whole number, at least 1"],
    ["learningRate", 0, "a finite number from 1e-12 to 1000000000000"],
    ["learningRate", NaN, "a finite number from 1e-12 to 1000000000000"],
    ["learningRate", Infinity, "a finite number from 1e-12 to 1000000000000"],
    ["momentum", 1, "a finite number from 0 to 0.9999999"],
    ["weightDecay", -1e-4, "0 or a finite number from 1e-12 to 1000000000000"],
    ["labelSmoothing", 1, "a finite number in [0, 1)"],
    ["seed", -1, "a whole number from 0 to 4294967295"],
    ["seed", 2 ** 32, "a whole number from 0 to 4294967295"],
    ["sparsity", 1, "a finite number in [0, 1)"],
    ["sparsity", -0.1, "a finite number in [0, 1)"],
    ["confidence", 0, "a finite number in (0, 1)"],
    ["confidence", 1, "a finite number in (0, 1)"],
    ["rounds", 0, "a whole number, at least 1"],
    ["finetuneEpochs", -1, "a whole number, at least 0"],
    ["calibration", 0, "a whole number, at least 1"],
    ["validation", -1, "a whole number, at least 0"],
    ["accumulate", 0, "a whole number, at least 1"],
    ["l1", -1, "0 or a finite number from 1e-12 to 1000000000000"],
    ["clipNorm", -1, "0 or a finite number from 1e-12 to 1000000000000"],
    ["clipValue", NaN, "0 or a finite number from 1e-12"],
    ["decayBias", 0, "true or false"],
    ["schedule", "linear", "one of constant, step, cosine, one-cycle"],
    ["milestones", "1", "rising fractions in (0, 1), joined by commas"],
    ["milestones", "0.5,0.5", "rising fractions in (0, 1), joined by commas"],
    ["milestones", "0.5,", "rising fractions in (0, 1), joined by commas"],
    ["milestones", "x", "rising fractions in (0, 1), joined by commas"],
    ["gamma", 1, "a finite number in (0, 1)"],
    ["rateFloor", 1, "a finite number in [0, 1)"],
    ["peakAt", 0, "a finite number in (0, 1)"],
    ["warmup", 1, "a finite number in [0, 1)"],
    ["averaging", "swa", "one of none, mean, ema"],
    ["averageFrom", 1, "a finite number in [0, 1)"],
    ["emaDecay", 1, "a finite number from"],
    ["recalibrate", true, "one of none, plain, augmented"],
    ["cutout", 1.5, "a whole number, at least 0"],
    ["mixup", -0.2, "0 or a finite number from 1e-12 to 1000000000000"],
    ["patience", -1, "a whole number, at least 0"],
    ["stopOn", "f1", "one of accuracy, loss"],
    ["rewind", 1, "a finite number in [0, 1)"],
    ["distill", 1.5, "a finite number from 0 to 1"],
    ["temperature", 0, "a finite number from 1e-12 to 1000000000000"],
    ["distillFeatures", -1, "0 or a finite number from 1e-12 to 1000000000000"],
    ["distillMaps", "first", "one of last, stages"],
    ["posteriorTemperature", 0, "auto or a finite number from 1e-12 to 1000000000000"],
    ["posteriorTemperature", "best", "auto or a finite number from 1e-12 to 1000000000000"],
    ["limit", null, "a whole number, at least 0"],
    ["optimizer", "rmsprop", "one of sgd, momentum, nesterov, adam, adamw"],
    ["adapter", "gpu", "one of auto, high-performance, low-power, fallback"],
    ["model", "", "a text that is not empty"],
    ["force", 1, "true or false"],
    ["targetParameters", 0, "a finite number, above 0"],
    ["pruneSchedule", "linear", "one of one-shot, iterative, gradual"],
    ["allowedDrop", 1, "a finite number in [0, 1)"],
    ["regrow", 0, "a finite number in (0, 1)"],
    ["fisher", "exact", "one of batch, example, sampled"],
    ["granularity", "4:2", "element, filter, channel, N:M such as 2:4"],
    ["granularity", "1:33", "element, filter, channel, N:M such as 2:4"],
    ["granularity", "0x4", "element, filter, channel, N:M such as 2:4"],
    ["scope", "local", "one of global, layer"],
    ["floor", 1.1, "a finite number from 0 to 1"],
    ["protect", "a,,b", "names of layers, joined by commas"],
    ["protect", "a,a", "names of layers, joined by commas"],
    ["store", "zip", "one of dense, sparse"],
  ];
  for (const [key, value, wanted] of cases) {
    const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
    assertRefused({ [key]: value }, `"${key}"`, shown, `expected ${wanted}`);
  }
});

Deno.test("parsePruneConfig() refuses an unknown key and offers the nearest", () => {
  assertRefused({ epoch: 3 }, '"epoch"', 'expected "epochs"');
  assertRefused({ learning_rate: 3 }, '"learning_rate"', 'expected "learningRate"');
  assertRefused({ qqq: 3 }, '"qqq"', "expected one of data, model,");
});

Deno.test("parsePruneConfig() refuses what is no object, and cuts long values", () => {
  for (const value of [null, [], 3, "x", undefined]) assertRefused(value, '"config"', "an object");
  assertRefused({ criterion: "x".repeat(1000) }, "xxx...");
});

Deno.test("parsePruneConfig() refuses two goals, and a threshold on another score", () => {
  assertRefused({ sparsity: 0.5, confidence: 0.9 }, '"sparsity"', "no sparsity beside a confidence");
  assertRefused({ criterion: "l1", confidence: 0.9 }, '"criterion"', '"confidence" beside');
});

Deno.test("parsePruneConfig() refuses keys that contradict each other or would do nothing", () => {
  const cases: readonly (readonly [Record<string, unknown>, string, string])[] = [
    [{ optimizer: "nesterov", momentum: 0 }, "momentum", "above 0 under nesterov"],
    [{ optimizer: "adam", momentum: 0.5 }, "momentum", "0.9 unless optimizer is momentum or nesterov"],
    [{ clipNorm: 1, clipValue: 1 }, "clipValue", "0 beside a clipNorm"],
    [{ mixup: 0.2, batch: 1, accumulate: 8 }, "mixup", "0 beside a batch of 1, which makes no pairs"],
    [{ schedule: "one-cycle", warmup: 0.1 }, "warmup", "0 under schedule one-cycle, which rises by itself"],
    [{ schedule: "cosine", milestones: "0.5" }, "milestones", '"0.6" unless schedule is step'],
    [{ schedule: "cosine", gamma: 0.5 }, "gamma", "0.25 unless schedule is step"],
    [{ rateFloor: 0.1 }, "rateFloor", "0 unless schedule is cosine"],
    [{ peakAt: 0.5 }, "peakAt", "0.3 unless schedule is one-cycle"],
    [{ emaDecay: 0.9 }, "emaDecay", "0.999 unless averaging is ema"],
    [{ averaging: "none", averageFrom: 0 }, "averageFrom", "0.75 unless averaging is mean or ema"],
    [{ averaging: "none", recalibrate: "plain" }, "recalibrate", '"none" under averaging none'],
    [{ decayBias: false, weightDecay: 0 }, "decayBias", "true unless weightDecay or l1 is above 0"],
    [{ patience: 3 }, "patience", "0 unless validation is above 0"],
    [{ stopOn: "loss" }, "stopOn", '"accuracy" unless validation is above 0'],
    [{ rewind: 0, finetuneEpochs: 0 }, "rewind", "0.75 unless finetuneEpochs is above 0"],
    [{ temperature: 2 }, "temperature", "4 unless distill is above 0"],
    [{ distillFeatures: 1 }, "distillFeatures", "0 unless distill is above 0"],
    [{ distill: 1, distillMaps: "stages" }, "distillMaps", '"last" unless distillFeatures is above 0'],
    [{ distill: 0.5, finetuneEpochs: 0 }, "distill", "0 unless finetuneEpochs is above 0 or a teacher"],
    [{ teacher: "t.safetensors" }, "teacher", "none unless distill is above 0"],
    [{ teacher: "resnet20", distill: 0.5 }, "teacher", "the path of a .safetensors file"],
    [{ sparsity: 0.5, targetParameters: 9 }, "sparsity", "no sparsity beside a targetParameters"],
    [{ targetParameters: 9, targetMultiplyAdds: 9 }, "targetParameters", "no targetParameters beside"],
    [
      { confidence: 0.9, targetBytes: 9, store: "sparse" },
      "confidence",
      "no confidence beside a targetBytes",
    ],
    [{ targetBytes: 0.5 }, "targetBytes", 'none unless store is "sparse" or granularity is channel'],
    [
      { targetParameters: 0.5, granularity: "channel", compact: false },
      "targetParameters",
      "none without compact",
    ],
    [{ granularity: "2:4", sparsity: 0.5 }, "sparsity", "no sparsity beside granularity 2:4"],
    [{ granularity: "2:4", rounds: 2 }, "rounds", "1 beside granularity 2:4"],
    [{ granularity: "2:4", pruneSchedule: "iterative" }, "pruneSchedule", '"one-shot" or "gradual" beside'],
    [{ granularity: "2:4", scope: "layer" }, "scope", '"global" beside granularity 2:4'],
    [{ granularity: "2:4", floor: 0.1 }, "floor", "0 beside granularity 2:4"],
    [{ granularity: "2:4", compact: true }, "compact", "false beside granularity 2:4, whose groups it would"],
    [{ refit: true, recalibratePruned: "plain" }, "recalibratePruned", '"none" beside refit'],
    [{ selection: "obs" }, "selection", '"score" without refit'],
    [{ selection: "obs", refit: true, granularity: "2:4" }, "selection", '"score" unless granularity'],
    [
      { selection: "obs", refit: true, confidence: 0.5, regrow: 0.9 },
      "selection",
      '"score" beside regrow',
    ],
    [{ granularity: "filter", roundTo: 4 }, "roundTo", "1 unless granularity is channel"],
    [{ perCost: true }, "perCost", "false unless granularity is filter, channel or blocks"],
    [{ pruneSchedule: "one-shot", rounds: 3 }, "rounds", "1 under pruneSchedule one-shot"],
    [{ pruneSchedule: "iterative", confidence: 0.9 }, "pruneSchedule", '"gradual" beside a confidence'],
    [{ confidence: 0.9, scope: "layer" }, "scope", '"global" beside a confidence'],
    [{ confidence: 0.9, granularity: "channel", perCost: true }, "perCost", "false beside a confidence"],
    [{ allowedDrop: 0.01 }, "allowedDrop", "none unless validation is above 0"],
    [{ regrow: 0.9 }, "regrow", "none unless there is a confidence"],
    [{ confidence: 0.9, regrow: 0.9 }, "regrow", "above the confidence 0.9"],
    [
      { confidence: 0.9, regrow: 0.95, granularity: "filter" },
      "regrow",
      "none unless granularity is element",
    ],
    [{ confidence: 0.9, regrow: 0.95, fisher: "sampled" }, "regrow", "none beside fisher sampled"],
    [{ criterion: "taylor", fisher: "example" }, "fisher", '"batch" unless criterion is confidence or obd'],
    [
      { criterion: "magnitude", compare: false, posteriorTemperature: 2 },
      "posteriorTemperature",
      "1 unless criterion is confidence",
    ],
    [{ criterion: "snr", weights: "a" }, "criterion", "another than snr without epochs of training"],
    [{ criterion: "snr", averaging: "none" }, "criterion", "another than snr under averaging none"],
    [{ posteriorTemperature: "auto" }, "posteriorTemperature", "a number unless validation is above 0"],
    [
      { posteriorTemperature: "auto", validation: 9, criterion: "obd", compare: false },
      "posteriorTemperature",
      "1 unless criterion is confidence",
    ],
    [
      { posteriorTemperature: "auto", validation: 9, confidence: 0.9 },
      "posteriorTemperature",
      "a number beside a confidence, whose meaning each temperature would move",
    ],
  ];
  for (const [value, key, wanted] of cases) assertRefused(value, `"${key}"`, `expected ${wanted}`);
  for (
    const value of [
      { optimizer: "nesterov" },
      { schedule: "cosine", rateFloor: 0.1, warmup: 0.1 },
      { schedule: "one-cycle", peakAt: 0.5 },
      { milestones: "0.5,0.75", gamma: 0.1 },
      { averaging: "ema", emaDecay: 0.9, averageFrom: 0 },
      { averaging: "none" },
      { averaging: "none", recalibrate: "none" },
      { averaging: "ema", recalibrate: "plain" },
      { decayBias: false },
      { decayBias: false, weightDecay: 0, l1: 1e-5 },
      { weightDecay: 0 },
      { validation: 10, patience: 3, stopOn: "loss" },
      { distill: 1, temperature: 2, distillFeatures: 0.5 },
      { distill: 1, distillFeatures: 1, distillMaps: "stages" },
      { granularity: "2:4", protect: "conv1,fc2" },
      { granularity: "8x1", scope: "layer", floor: 0.1, targetMultiplyAdds: 1e6, pruneSchedule: "iterative" },
      { granularity: "channel", targetBytes: 0.5, roundTo: 4 },
      { confidence: 0.9, regrow: 0.95, allowedDrop: 0.01, validation: 100 },
      { refit: true, selection: "obs", recalibratePruned: "none" },
      { targetBytes: 1e5, store: "sparse", compact: true },
      { criterion: "snr", checkpointEvery: 9 },
      { posteriorTemperature: "auto", validation: 9, granularity: "2:4" },
      { posteriorTemperature: "auto", validation: 9, criterion: "magnitude" },
    ]
  ) parsePruneConfig(value, "run.json");
});

Deno.test("pruneConfigSchema parses like parsePruneConfig()", () => {
  assert.deepEqual(pruneConfigSchema.parse({ epochs: 2 }), parsePruneConfig({ epochs: 2 }, "run.json"));
  assert.equal(pruneConfigSchema.safeParse({ epochs: 0 }).success, false);
});

Deno.test("describeConfig() gives kebab-case flags, the choices of a choice, and the words beside numbers", () => {
  const byKey = new Map(describeConfig().map((field) => [field.key, field]));
  assert.equal(byKey.get("learningRate")?.flag, "learning-rate");
  assert.deepEqual(byKey.get("prior")?.choices, ["evidence", "matched"]);
  const { kind, choices, default: preset } = byKey.get("posteriorTemperature")!;
  assert.deepEqual([kind, choices, preset], ["number", ["auto"], 1]);
  assert.equal(byKey.get("clipNorm")?.group, "Regularisation");
  for (const { description, key, group } of byKey.values()) {
    assert.match(description, /^[A-Z].*\.$/, key);
    assert(group, key);
  }
});

Deno.test("describeConfig() describes each key in the words of PruneConfig's documentation", async () => {
  const source = await Deno.readTextFile(new URL("../src/config/prune_config.ts", import.meta.url));
  const declaration = source.slice(source.indexOf("export interface PruneConfig"), source.indexOf("\n}\n"));
  const documented = [...declaration.matchAll(/\/\*\* (.*) \*\/\n {2}readonly (\w+)/g)];
  assert.deepEqual(
    documented.map(([, sentence, key]) => [key, sentence]),
    describeConfig().map(({ key, description }) => [key, description]),
  );
});

Deno.test("parsePruneConfig() refits kept weights as it was measured to work best, unless told otherwise", () => {
  const read = (config: Record<string, unknown>) => {
    const { criterion, selection, rounds } = parsePruneConfig({ refit: true, ...config }, "a test");
    return [criterion, selection, rounds];
  };
  assert.deepEqual(read({}), ["magnitude", "obs", 5]);
  assert.deepEqual(read({ criterion: "taylor", selection: "score", rounds: 2 }), [
    "taylor",
    "score",
    2,
  ]);
  assert.deepEqual(read({ granularity: "channel" }), ["magnitude", "score", 5]);
  assert.deepEqual(read({ confidence: 0.6 }), ["confidence", "obs", 20]);
  assert.deepEqual(read({ refit: false }), ["confidence", "score", 3]);
});

Deno.test("parsePruneConfig() and renameOld() read configurations and reports of before refits had one name", () => {
  const old = { sparsity: 0.8, replace: true, posterior: "diagonal" };
  const config = { sparsity: 0.8, refit: true, selection: "score" };
  assert.deepEqual(parsePruneConfig(old, "a test"), parsePruneConfig(config, "a test"));
  assert.deepEqual(pruneConfigSchema.parse({ replace: true, posterior: "layer" }).selection, "obs");
  assert.deepEqual(renameOld(old), config);
  const cells = [{ variant: "confidence/replace/T=2", seed: 1 }, { variant: "lamp/reselect" }, {
    layer: "fc",
  }];
  assert.deepEqual(renameOld({ version: 1, config: old, cells }), {
    version: 1,
    config,
    cells: [{ variant: "confidence/refit/T=2", seed: 1 }, { variant: "lamp/obs" }, { layer: "fc" }],
  });
  for (const other of [null, 3, "replace", [old], config]) assert.deepEqual(renameOld(other), other);
  const refused: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ replace: true, refit: true }, 'Cannot use "replace": an unknown key'],
    [{ replace: 1 }, 'Cannot use "refit": 1 from a test'],
    [{ posterior: "other" }, 'Cannot use "selection": "other" from a test, expected one of score, obs'],
  ];
  for (const [value, message] of refused) {
    assert.throws(
      () => parsePruneConfig(value, "a test"),
      (error: Error) => error.message.startsWith(message),
    );
  }
});
