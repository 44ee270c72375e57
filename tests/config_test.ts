/** Tests of the configuration's schema, errors and descriptions. */

import assert from "node:assert/strict";
import { describeConfig, parsePruneConfig, pruneConfigSchema } from "../src/config.ts";
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
    const config = parsePruneConfig(given, "run.json");
    assert.deepEqual(parsePruneConfig(JSON.parse(JSON.stringify(config)), "run.json"), config);
  }
});

Deno.test("parsePruneConfig() trains for no epoch before pruning where weights come from a file, unless told to", () => {
  const epochsOf = (value: unknown) => parsePruneConfig(value, "run.json").epochs;
  assert.equal(epochsOf({ model: "resnet20" }), 12);
  assert.equal(epochsOf({ model: "resnet20", weights: "a" }), 0);
  assert.equal(epochsOf({ model: "a.safetensors" }), 0);
  assert.equal(epochsOf({ model: "a.safetensors", epochs: 3 }), 3);
});

Deno.test("parsePruneConfig() leaves the sparsity out where a confidence is given", () => {
  const config = parsePruneConfig({ confidence: 0.95 }, "run.json");
  assert.deepEqual([config.confidence, config.sparsity], [0.95, undefined]);
});

Deno.test("parsePruneConfig() names the key, its value and what is expected", () => {
  const cases: readonly (readonly [string, unknown, string])[] = [
    ["epochs", 0, "a whole number, at least 1"],
    ["epochs", 1.5, "a whole number, at least 0"],
    ["batch", "64", "a whole number, at least 1"],
    ["batch", -1, "a whole number, at least 1"],
    ["learningRate", 0, "a finite number, above 0"],
    ["learningRate", NaN, "a finite number, above 0"],
    ["learningRate", Infinity, "a finite number, above 0"],
    ["momentum", 1, "a finite number in [0, 1)"],
    ["weightDecay", -1e-4, "a finite number, at least 0"],
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
    ["limit", null, "a whole number, at least 0"],
    ["optimizer", "rmsprop", "one of sgd, momentum, nesterov, adam, adamw"],
    ["adapter", "gpu", "one of auto, high-performance, low-power, fallback"],
    ["model", "", "a text that is not empty"],
    ["force", 1, "true or false"],
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

Deno.test("pruneConfigSchema parses like parsePruneConfig()", () => {
  assert.deepEqual(pruneConfigSchema.parse({ epochs: 2 }), parsePruneConfig({ epochs: 2 }, "run.json"));
  assert.equal(pruneConfigSchema.safeParse({ epochs: 0 }).success, false);
});

Deno.test("describeConfig() gives kebab-case flags, and the choices of a choice", () => {
  const byKey = new Map(describeConfig().map((field) => [field.key, field]));
  assert.equal(byKey.get("learningRate")?.flag, "learning-rate");
  assert.deepEqual(byKey.get("prior")?.choices, ["evidence", "matched"]);
  for (const { description, key } of byKey.values()) assert.match(description, /^[A-Z].*\.$/, key);
});

Deno.test("describeConfig() describes each key in the words of PruneConfig's documentation", async () => {
  const source = await Deno.readTextFile(new URL("../src/config.ts", import.meta.url));
  const declaration = source.slice(source.indexOf("export interface PruneConfig"), source.indexOf("\n}\n"));
  const documented = [...declaration.matchAll(/\/\*\* (.*) \*\/\n {2}readonly (\w+)/g)];
  assert.deepEqual(
    documented.map(([, sentence, key]) => [key, sentence]),
    describeConfig().map(({ key, description }) => [key, description]),
  );
});
