/** Criteria by value: expressions and functions, on every granularity, guarded, in runs and in comparisons. */
import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { Model } from "../../src/api/model.ts";
import { getCore } from "../../src/api/model_core.ts";
import type { ModelPruneOptions } from "../../src/api/model_options.ts";
import { configOf } from "../helpers/config.ts";
import { ConfigError, KernelError, NumericError } from "../../src/errors.ts";
import type { NamedParameters } from "../../src/gpu/network.ts";
import {
  type Criterion,
  defineCriterion,
  type ExpressionCriterion,
  type FunctionCriterion,
} from "../../src/prune/score/own_criterion.ts";
import type { RemovalOptions } from "../../src/prune/select/removal.ts";
import { compareReportSchema, sensitivityReportSchema } from "../../src/report/compare_report.ts";
import { pruneReportSchema } from "../../src/report/prune_report.ts";
import { runCompare } from "../../src/runs/compare.ts";
import { runPrune } from "../../src/runs/prune.ts";
import { runSensitivity } from "../../src/runs/sensitivity.ts";
import { formatReport } from "../../src/text/prune.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { F32_ROUNDOFF } from "../reference/tensor.ts";

const dataset = tinyDataset(), { train, test } = dataset;

/** What `magnitude`, `taylor`, `obd` and `confidence` are, told anew. */
const asExpression = {
  magnitude: defineCriterion({ name: "m", expression: "abs(mean)", group: "squares" }),
  taylor: defineCriterion({ name: "t", expression: "abs(mean * gradient_mean)", group: "squares" }),
  obd: defineCriterion({ name: "o", expression: "mean * mean * fisher * 0.5" }),
  confidence: defineCriterion({
    name: "z",
    expression: "abs(mean) * sqrt(examples * fisher + prior_precision)",
    group: "deviate",
  }),
};

const asFunction = {
  magnitude: defineCriterion({ name: "m", scores: (_, { mean }) => mean.map(Math.abs), group: "squares" }),
  taylor: defineCriterion({
    name: "t",
    reads: ["gradient_mean"],
    scores: (_, { mean, gradient_mean: gradient }) => mean.map((value, i) => Math.abs(value * gradient![i])),
    group: "squares",
  }),
  obd: defineCriterion({
    name: "o",
    reads: ["fisher"],
    scores: (_, { mean, fisher }) =>
      Promise.resolve(mean.map((value, i) => Math.fround(Math.fround(value * value) * fisher![i]) * 0.5)),
  }),
};

const everyGranularity: readonly (RemovalOptions & { readonly pattern?: { keep: number; of: number } })[] = [
  { granularity: "element" },
  { granularity: "element", scope: "layer" },
  { granularity: "filter" },
  { granularity: "channel" },
  { granularity: { rows: 2, channels: 2 } },
  { pattern: { keep: 1, of: 2 } },
];

/** The masks after two rounds by a criterion. */
async function masksBy(model: Model, state: Awaited<ReturnType<Model["state"]>>, criterion: Criterion, {
  pattern,
  ...select
}: (typeof everyGranularity)[number]) {
  model.restore(state);
  const goal = pattern ? { pattern } : { sparsity: 0.4 };
  const pruning: ModelPruneOptions = {
    rounds: 2,
    by: criterion,
    calibration: test,
    test,
    ...select,
    finetune,
  };
  const { removed } = await model.prune(goal, pruning);
  assert(removed > 0);
  return (await model.state()).masks;
}

const finetune = () => Promise.resolve();

Deno.test("criteria by value remove what the library's remove, on every granularity", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset, seed: 3 });
  await model.train(train, { epochs: 2, batch: 16 });
  const state = await model.state();
  let onHost = 0;
  for (const select of everyGranularity) {
    for (const [name, own] of Object.entries(asExpression)) {
      const want = await masksBy(model, state, name as keyof typeof asExpression, select);
      const says = `${name} by ${JSON.stringify(select)}`;
      assertEquals(await masksBy(model, state, own, select), want, says);
      const same = (asFunction as Partial<Record<string, Criterion>>)[name];
      if (!same) continue;
      onHost++;
      assertEquals(await masksBy(model, state, same, select), want, `${says}, on the host`);
    }
  }
  assertEquals(onHost, everyGranularity.length * Object.keys(asFunction).length);
  const [magnitude, obd] = [
    await masksBy(model, state, "magnitude", {}),
    await masksBy(model, state, "obd", {}),
  ];
  assertNotEquals(magnitude, obd, "criteria differ");
});

Deno.test("an expression computes what it says, 0 of removed weights", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset, seed: 3 });
  await model.train(train, { epochs: 2, batch: 16, keepsVariance: true });
  await model.score(test, { by: "magnitude" });
  await model.remove(60);
  const expression = "select(0.25, min(abs(mean), 0.1) / sqrt(variance + 1e-6), mean > 0) + 2 * fisher";
  await model.score(test, { by: defineCriterion({ name: "mixed", expression }) });
  const read = async (role: "mean" | "mask" | "variance" | "fisher" | "scores") =>
    await getCore(model).network.readParameters(role) as NamedParameters;
  const [mean, mask, variance, fisher, scores] = [
    await read("mean"),
    await read("mask"),
    await read("variance"),
    await read("fisher"),
    await read("scores"),
  ];
  let removed = 0;
  for (const name of ["conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight"]) {
    for (const [i, score] of scores.get(name)!.entries()) {
      const value = mean.get(name)![i];
      const first = value > 0 ? Math.min(value, 0.1) / Math.sqrt(variance.get(name)![i] + 1e-6) : 0.25;
      const want = mask.get(name)![i] === 0 ? 0 : first + 2 * fisher.get(name)![i];
      if (mask.get(name)![i] === 0) removed++;
      assert(Math.abs(score - want) <= 20 * F32_ROUNDOFF * want, `${name} ${i}: ${score}, ${want}`);
    }
  }
  assertEquals(removed, 60);
});

Deno.test("defineCriterion() refuses what no criterion may be, and says why", () => {
  const refused: readonly (readonly [ExpressionCriterion | FunctionCriterion, string])[] = [
    [
      { name: "obd", expression: "mean" },
      'Cannot define criterion ""obd"": the library has one of that name',
    ],
    [{ name: "a/b", expression: "mean" }, "no name that variants can be called by"],
    [{ name: 3 as unknown as string, expression: "mean" }, "no name that variants can be called by"],
    [
      { name: "a", expression: "abs(mean) * fishr" },
      'nothing is called "fishr", expected "fisher", the nearest known name',
    ],
    [{ name: "a", expression: "mean; }" }, '";" at 4 of "mean; }"'],
    [{ name: "a", expression: "mean[0]" }, '"[" at 4'],
    [{ name: "a", expression: "mean.x" }, '"." at 4'],
    [{ name: "a", expression: "scores" }, 'nothing is called "scores"'],
    [{ name: "a", expression: " " }, "it is empty"],
    [{ name: "a", expression: 1 as unknown as string }, "expected an expression as text"],
    [{ name: "a", expression: "mean", group: "random" as "sum" }, "sum, squares, mean, deviate"],
    [
      { name: "a", reads: ["scores" as "fisher"], scores: () => new Float32Array() },
      "fisher, gradient_mean, variance",
    ],
    [{ name: "a" } as FunctionCriterion, "expected an expression, or a function scores"],
  ];
  for (const [criterion, says] of refused) {
    assertThrows(() => defineCriterion(criterion), ConfigError, says);
  }
});

Deno.test("scores of criteria by value are looked at before anything goes by them", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset, seed: 3 });
  const state = await model.state();
  const bad: readonly (readonly [
    ExpressionCriterion | FunctionCriterion,
    typeof ConfigError | typeof NumericError | typeof KernelError,
    string,
  ])[] = [
    [
      { name: "sign", expression: "mean" },
      NumericError,
      'Cannot score by "sign": the score of conv1.weight[',
    ],
    [
      { name: "inf", expression: "1 / (mean - mean)" },
      NumericError,
      "the score of conv1.weight[0, 0, 0, 0] is",
    ],
    [
      { name: "boolean", expression: "mean > 0" },
      KernelError,
      'Cannot compile kernel "score/score:boolean"',
    ],
    [
      { name: "short", scores: () => new Float32Array(3) },
      ConfigError,
      'Cannot score by "short": Float32Array of 3',
    ],
    [{ name: "list", scores: (() => [1]) as never }, ConfigError, "a number per weight of conv1.weight"],
    [
      { name: "nan", scores: (_, { mean }) => mean.map(() => NaN) },
      NumericError,
      "conv1.weight[0, 0, 0, 0] is NaN",
    ],
    [
      { name: "below", scores: (_, { mean }) => mean.map((_, i) => 5 - i) },
      NumericError,
      'Cannot score by "below"',
    ],
  ];
  for (const [criterion, kind, says] of bad) {
    await model.score(test, { by: "magnitude" });
    await assertRejects(() => model.score(test, { by: defineCriterion(criterion) }), kind, says);
    await assertRejects(() => model.remove(3), ConfigError, "they have no scores", criterion.name);
  }
  assertEquals(await model.state(), state, "no weight has changed");
  const failing = defineCriterion({
    name: "failing",
    scores: () => {
      throw new RangeError("mine");
    },
  });
  await assertRejects(() => model.score(test, { by: failing }), RangeError, "mine");
  const stranger = { name: "stranger", expression: "mean" };
  await assertRejects(
    () => model.score(test, { by: stranger }),
    ConfigError,
    "or the result of defineCriterion",
  );
  // A removed weight's number need not serve.
  const finite = defineCriterion({ name: "per-size", expression: "abs(gradient_mean) / abs(mean)" });
  const { removed } = await model.prune(0.5, { rounds: 3, by: finite, calibration: test });
  assert(removed > 0);
});

const settings = { epochs: 2, batch: 16, learningRate: 0.05, seed: 1, rounds: 2, sparsity: 0.6 };

Deno.test("runPrune() prunes by a criterion by value, says so, and goes on with the same alone", async () => {
  const gpu = await deviceOf(), files = memoryFiles(), { obd } = asExpression;
  const config = configOf({ ...settings, compare: false, criterion: "obd", checkpointEvery: 1 });
  const given = { config, dataset, graph: tinyGraph() };
  const library = await runPrune(gpu, given), own = await runPrune(gpu, { ...given, by: obd });
  assertEquals(own.model, library.model);
  assertEquals(own.report, { ...library.report, ownCriteria: { o: "mean * mean * fisher * 0.5" } });
  assertEquals(pruneReportSchema.parse(JSON.parse(JSON.stringify(own.report))), own.report);
  assert(formatReport(own.report).includes("pruned by o "), formatReport(own.report));
  const ended = new AbortController(), checkpoints = { files, folder: "out/checkpoint", resumes: false };
  const onProgress = (phase: string) => phase.startsWith("fine-tune 1") && ended.abort();
  await assertRejects(() =>
    runPrune(gpu, { ...given, by: obd, checkpoints, signal: ended.signal, onProgress })
  );
  const resume = { ...given, checkpoints: { ...checkpoints, resumes: true } };
  await assertRejects(() => runPrune(gpu, resume), ConfigError, "criterion was");
  const other = defineCriterion({ name: "o", expression: "mean * mean * fisher" });
  await assertRejects(() => runPrune(gpu, { ...resume, by: other }), ConfigError, "criterion was");
  assertEquals((await runPrune(gpu, { ...resume, by: obd })).model, library.model);
});

Deno.test("runCompare() and runSensitivity() take criteria by value, those that read the variance too", async () => {
  const gpu = await deviceOf(), versions = { winnow: "a test" };
  const config = configOf({ ...settings, finetuneEpochs: 0, validation: 10 });
  const snr = defineCriterion({
    name: "deviations",
    expression: "abs(mean) / max(sqrt(variance), 1e-20)",
    group: "squares",
  });
  const given = { config, dataset, graph: tinyGraph(), versions, sparsities: [0.5] };
  const criteria = [asFunction.obd, snr],
    variants = ["obd", "o", "obd/channel", "o/channel/layer", "snr", "deviations"];
  const report = await runCompare(gpu, { ...given, criteria, variants, seeds: [3] });
  assertEquals(compareReportSchema.parse(JSON.parse(JSON.stringify(report))), report);
  assertEquals(report.ownCriteria, { o: "a function", deviations: snr.expression! });
  const [obd, own, , , deviations, ownDeviations] = report.cells.map(({ variant: _, ...cell }) => cell);
  assertEquals(own, obd);
  assertEquals(ownDeviations, deviations);
  await assertRejects(
    () => runCompare(gpu, { ...given, variants, seeds: [3] }),
    ConfigError,
    'no criterion is "o"',
  );
  const changed = [defineCriterion({ name: "o", expression: "mean * mean" }), snr];
  const goOn = runCompare(gpu, { ...given, criteria: changed, variants, seeds: [3], before: report });
  await assertRejects(() => goOn, ConfigError, 'Cannot go on with "the comparison": ownCriteria was');
  const byMagnitude = configOf({ ...settings, finetuneEpochs: 0, validation: 10, criterion: "magnitude" });
  const scan = { ...given, config: byMagnitude };
  const { ownCriteria, ...scanned } = await runSensitivity(gpu, { ...scan, by: asFunction.magnitude });
  assertEquals(ownCriteria, { m: "a function" });
  assertEquals(scanned, await runSensitivity(gpu, scan));
  assertEquals(sensitivityReportSchema.parse({ ...scanned, ownCriteria }), { ...scanned, ownCriteria });
});
