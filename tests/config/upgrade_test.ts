/** Tests that read configurations and reports as versions 1 and 2 wrote them, from files that they wrote. */

import assert from "node:assert/strict";
import { parseRunConfig } from "../../src/config/config.ts";
import { upgradeConfig, upgradeReport } from "../../src/config/upgrade.ts";
import { parseState } from "../../src/io/checkpoint_state.ts";
import { pruneReportSchema } from "../../src/report/prune_report.ts";
import { readConfigFile } from "../../src/cli/run_config.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { formatReport } from "../../src/text/prune.ts";
import { configOf } from "../helpers/config.ts";
import { sharedPath } from "../helpers/shared.ts";

const read = (name: string) => Deno.readTextFileSync(new URL(name, import.meta.url));

/** What was asked for, and the whole configuration that a version made of it. */
const configsOf = (version: number) =>
  read(`version${version}.jsonl`).trim().split("\n").map((line) => JSON.parse(line));

Deno.test("parseRunConfig() reads whole configurations of version 1 as what was asked for by the same flags", () => {
  const configs = configsOf(1);
  assert(configs.length > 12);
  for (const { given, config } of configs) {
    const name = JSON.stringify(given);
    // Rounds towards a confidence were 20 then; a run that is repeated has as many.
    if (given.confidence !== undefined) given.rounds = config.rounds;
    // Compaction was on for channels alone then; a run that is repeated does as then.
    given.compact = config.compact;
    // What a refit is by has a name since.
    const now = configOf(given.refit ? { ...given, refit: "layers" } : given);
    assert.deepEqual(parseRunConfig(config, "a test"), now, name);
    assert.deepEqual(parseRunConfig(given, "a test"), now, name);
    // What the tree holds is left alone.
    assert.deepEqual(upgradeConfig(now), now);
  }
});

Deno.test("parseRunConfig() reads whole configurations of version 2 as what was asked for by the same flags", () => {
  const configs = configsOf(2);
  assert(configs.length > 20);
  for (const { given, config } of configs) {
    // A pattern has no schedule since.
    const { pruneSchedule, ...others } = given;
    const now = configOf({ ...others, ...(/^\d:/.test(given.granularity) ? {} : { pruneSchedule }) });
    assert.deepEqual(parseRunConfig(config, "a test"), now, JSON.stringify(given));
    const report = { version: 2, adapter: "x", config };
    assert.deepEqual(upgradeReport(report), { version: 3, adapter: "x", config: now });
  }
});

Deno.test("parseState() reads what a run of version 2 was told, so that it can go on", () => {
  const { given, config } = configsOf(2).find(({ given }) =>
    given.clipNorm && given.optimizer === "nesterov"
  );
  assert.deepEqual(parseState({ config, results: [] }, "read", "a test"), {
    config: configOf(given),
    results: [],
  });
});

Deno.test("parseRunConfig() reads keys of version 2 where they stand now, and refuses them there", () => {
  const old = {
    train: { optimizer: { nesterov: true, clipNorm: 2 } },
    validation: { examples: 9 },
    prune: { rounds: 4, schedule: "iterative", allowedDrop: 0.1 },
  };
  assert.deepEqual(
    parseRunConfig(old, "a test"),
    configOf({
      ...{ optimizer: "nesterov", clipNorm: 2, validation: 9, rounds: 4, pruneSchedule: "iterative" },
      allowedDrop: 0.1,
    }),
  );
  const cases: readonly (readonly [unknown, string])[] = [
    [{ prune: { rounds: 0 } }, 'Cannot use "prune.goal.rounds": 0'],
    [{ prune: { schedule: "one-shot", rounds: 3 } }, 'Cannot use "prune.goal.rounds": 3'],
    [
      { prune: { goal: { confidence: 0.9 }, schedule: "gradual", select: { scope: "layer" } } },
      'Cannot use "prune.select.scope": "layer"',
    ],
    [{ train: { optimizer: { kind: "adam", nesterov: 1 } } }, 'Cannot use "train.optimizer.nesterov"'],
    [{ train: { optimizer: { kind: "adam", nesterov: true } } }, 'Cannot use "train.optimizer.nesterov"'],
    [{ prune: { rounds: 3, goal: { rounds: 4 } } }, 'Cannot use "prune.rounds": an unknown key'],
    [{ prune: { rounds: 3, goal: 5 } }, 'Cannot use "prune.'],
  ];
  for (const [config, message] of cases) {
    assert.throws(
      () => parseRunConfig(config, "a test"),
      (error: Error) => error.message.startsWith(message),
      message,
    );
  }
});

Deno.test("parseRunConfig() refuses of version 1 what the tree refuses, by its path", () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [{ sparsity: 1.5 }, 'Cannot use "prune.goal.sparsity": 1.5'],
    [{ epochs: "3" }, 'Cannot use "train.epochs": "3"'],
    [{ milestones: "x" }, 'Cannot use "train.schedule.milestones": [null]'],
    [{ granularity: "4:2" }, 'Cannot use "prune.select.granularity": "4:2"'],
    [{ optimizer: "adam", momentum: 0.5 }, 'Cannot use "train.optimizer.momentum": 0.5'],
    [{ sparsity: 0.5, confidence: 0.9 }, 'Cannot use "prune.goal.'],
    [{ batch: 8, epoch: 1 }, 'Cannot use "epoch": an unknown key from a test, expected "train.epochs"'],
    [{ refit: 1 }, 'Cannot use "prune.after.refit.by": 1'],
    [{ replace: true, refit: true }, 'Cannot use "replace": an unknown key'],
    [{ data: 3 }, 'Cannot use "data.folder": 3'],
  ];
  for (const [config, message] of cases) {
    assert.throws(
      () => parseRunConfig(config, "a test"),
      (error: Error) => error.message.startsWith(message),
      message,
    );
  }
});

Deno.test("parseRunConfig() reads names of before refits had one name", () => {
  const old = { sparsity: 0.8, replace: true, posterior: "diagonal" };
  assert.deepEqual(
    parseRunConfig(old, "a test"),
    configOf({ sparsity: 0.8, refit: "layers", selection: "score" }),
  );
  const { after } = parseRunConfig({ replace: true, posterior: "layer" }, "a test").prune;
  assert.deepEqual(after, { refit: { by: "layers", selectionSteps: 3 } });
});

Deno.test("pruneReportSchema reads a report of version 1, which then is one of now", () => {
  const old = JSON.parse(read("version1_report.json")), report = pruneReportSchema.parse(old);
  const config = configOf({ limit: 600, testLimit: 200, epochs: 2, tune: "off", compact: false });
  assert.equal(old.version, 1);
  assert.deepEqual(report, { ...old, version: 3, config });
  assert.deepEqual(pruneReportSchema.parse(JSON.parse(JSON.stringify(report))), report);
  assert.match(formatReport(report), /pruned by confidence/);
  assert.equal(pruneReportSchema.safeParse({ ...old, config: { epochs: -1 } }).success, false);
  const cost = { parameters: 9, multiplyAdds: 9, sizeBytes: 36 };
  const compaction = { before: cost, after: cost, removedLayers: [], channels: [], largestDifference: 0 };
  const timed = { ...old, compaction: { ...compaction, latencyMs: { before: 2, after: 1 } } };
  assert.deepEqual(pruneReportSchema.parse(timed).compaction, compaction);
});

Deno.test("upgradeReport() gives variants the names of now, and leaves alone what is no report of version 1", () => {
  const cells = [{ variant: "confidence/replace/T=2", seed: 1 }, { variant: "lamp/reselect" }, {
    layer: "fc",
  }];
  assert.deepEqual(upgradeReport({ version: 1, config: { replace: true }, cells }), {
    version: 3,
    config: configOf({ refit: "layers" }),
    cells: [{ variant: "confidence/refit/T=2", seed: 1 }, { variant: "lamp/obs" }, { layer: "fc" }],
  });
  for (const other of [null, 3, "replace", [{ version: 1 }], { version: 3, config: {} }]) {
    assert.deepEqual(upgradeReport(other), other);
  }
});

const reports = sharedPath("reports");

Deno.test(
  "readConfigFile() reads shared reports of version 1",
  { ignore: reports === undefined },
  async () => {
    const { config, earlier } = await readConfigFile(`${reports}/report-with-out-and-force.json`, denoFiles);
    const { output, train } = parseRunConfig(config, "a test");
    assert.deepEqual([output.folder !== undefined, output.force, train.epochs], [true, true, 2]);
    assert(Object.keys(earlier!.cores!).length > 3);
  },
);
