/** Tests of what a configuration comes to: defaults, and what follows from other keys. */

import assert from "node:assert/strict";
import {
  describeConfig,
  parseRunConfig,
  type RunConfigInput,
  runConfigSchema,
} from "../../src/config/config.ts";
import { valuesByPath } from "../../src/config/nodes.ts";
import { channelDefaults, countRounds } from "../../src/config/prune.ts";
import { scoreBy } from "../../src/config/schema.ts";

/** What a configuration comes to; its type is that of what users write. */
const parse = (value: RunConfigInput) => parseRunConfig(value, "run.json");

Deno.test("parseRunConfig() fills in every default that describeConfig() names", () => {
  const values = new Map(valuesByPath(parse({})));
  // Not keys of other kinds, nor of parts that are not there.
  const isAbsent = /^(validation|train\.distillation|prune\.after\.refit|prune\.select\.perCost)\b/;
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
  // A new last layer has to learn.
  assert.equal(epochsOf({ source: "a.safetensors", classes: 4 }), 12);
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
  const goals = [
    pruneOf({ goal: { schedule: "one-shot" } }),
    pruneOf({ goal: { confidence: 0.9 } }),
    pruneOf({ after: { refit: {} } }),
    pruneOf({ goal: { cost: "bytes", max: 9, rounds: 2 }, select: { granularity: "channel" } }),
  ].map(({ goal }) => goal);
  assert.deepEqual(goals, [
    { sparsity: 0.5, schedule: "one-shot" },
    { confidence: 0.9 },
    { sparsity: 0.5, schedule: "gradual", rounds: 5 },
    { cost: "bytes", max: 9, schedule: "gradual", rounds: 2 },
  ]);
  assert.deepEqual([...goals, pattern].map(countRounds), [1, Infinity, 5, 2, 1]);
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
  assert.throws(() => parse({ prune, validation: { examples: 7, allowedDrop: 0.1 } }), {
    message: /validation\.allowedDrop.*none beside confidence auto/,
  });
  assert.throws(() => parse({ prune: { goal: { confidence: "auto", regrow: 0.6 } } }), {
    message: /above the confidence 0\.683/,
  });
});

Deno.test("parseRunConfig() refits kept weights as it was measured to work best, unless told otherwise", () => {
  const by = "layers";
  const read = (prune: RunConfigInput["prune"]) => {
    const { score, after, goal } = parse({ prune: { after: { refit: {} }, ...prune } as typeof prune }).prune;
    return [score.by, after, countRounds(goal)];
  };
  assert.deepEqual(read({}), ["magnitude", { refit: { by, selectionSteps: 3 } }, 5]);
  assert.deepEqual(
    read({ score: { by: "taylor" }, after: { refit: { selectionSteps: 0 } }, goal: { rounds: 2 } }),
    [
      "taylor",
      { refit: { by, selectionSteps: 0 } },
      2,
    ],
  );
  assert.deepEqual(read({ select: { granularity: "channel" } }), ["magnitude", {
    refit: { by, selectionSteps: 0 },
  }, 5]);
  assert.deepEqual(read({ after: { refit: { by: "end-to-end" } } }), ["magnitude", {
    refit: { by: "end-to-end", selectionSteps: 3, steps: 300, learningRate: 0.003 },
  }, 5]);
  assert.deepEqual(read({ goal: { confidence: 0.6 } }), [
    "confidence",
    { refit: { by, selectionSteps: 3 } },
    Infinity,
  ]);
  assert.deepEqual(read({ after: {} }), ["confidence", { recalibrate: "augmented" }, 3]);
});

Deno.test("scoreBy() keeps of a score what another criterion reads too", () => {
  const { score } =
    parse({ prune: { score: { prior: "matched", fisher: "example", temperature: 2 } } }).prune;
  assert.deepEqual(scoreBy(score, "confidence"), score);
  assert.deepEqual(scoreBy(score, "obd"), { by: "obd", fisher: "example" });
  assert.deepEqual(scoreBy(score, "lamp"), { by: "lamp" });
  assert.deepEqual(scoreBy({ by: "lamp" }, "confidence"), parse({}).prune.score);
});

Deno.test("runConfigSchema parses like parseRunConfig()", () => {
  assert.deepEqual(runConfigSchema.parse({ train: { epochs: 2 } }), parse({ train: { epochs: 2 } }));
  assert.equal(runConfigSchema.safeParse({ train: { epochs: 0 } }).success, false);
});
