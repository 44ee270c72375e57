/**
 * The temperature that is chosen on validation examples, held against each of them tried apart, with gradients of its own.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { countRounds } from "../../src/config/prune.ts";
import { runCompare } from "../../src/runs/compare.ts";
import { getCore } from "../../src/api/model_core.ts";
import type { PruneGoal } from "../../src/prune/goal.ts";
import { applyRecipe } from "../../src/api/apply_recipe.ts";
import { Model } from "../../src/api/model.ts";
import type { ModelPruneOptions } from "../../src/api/model_options.ts";
import { runPrune } from "../../src/runs/prune.ts";
import { runSensitivity } from "../../src/runs/sensitivity.ts";
import { configOf as configBy } from "../helpers/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { parseGraph } from "../../src/model/graph.ts";
import { posteriorTemperatures, type TemperatureChoice } from "../../src/prune/score/temperature.ts";
import { countRemovedWeights } from "../../src/prune/recipe.ts";
import { pruneReportSchema } from "../../src/report/prune_report.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset, tinySplit } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const dataset = tinyDataset(), versions = { winnow: "a test" };

/** With batch norm, whose statistics a trial measures anew and puts back. */
function normedGraph() {
  const { input, layers } = tinyGraph(), norm = { kind: "batchnorm2d", name: "norm" };
  return parseGraph({ name: "normed", input, layers: [layers[0], norm, ...layers.slice(1)] }, "a test");
}

const configOf = (more: Record<string, unknown> = {}) =>
  configBy({
    ...{ epochs: 6, batch: 16, learningRate: 0.05, finetuneEpochs: 0, seed: 1, validation: 24 },
    ...{ posteriorTemperature: "auto", compare: false, ...more },
  });

function checkLowest({ temperature, tried }: TemperatureChoice): void {
  assertEquals(tried.map(({ temperature }) => temperature), posteriorTemperatures);
  const lowest = Math.min(...tried.map(({ loss }) => loss));
  assertEquals(tried.find((trial) => trial.temperature === temperature)!.loss, lowest);
}

Deno.test("applyRecipe() tries every temperature as if it were alone, and removes by the best", async () => {
  const gpu = await deviceOf(),
    graph = normedGraph(),
    calibration = tinySplit(32, 5),
    validation = tinySplit(32, 6);
  using model = new Model(gpu, graph, { task: dataset, seed: 2 });
  const { train } = dataset;
  await model.train(train, { epochs: 6, batch: 16, learningRate: 0.05 });
  const state = await model.state(), inputs = { calibration, train, validation, trainedOn: train.count };
  const chosen = new Set<number>();
  for (const weights of [250, 320, 350]) {
    const apply = async (temperature: number | "validation") => {
      model.restore(state);
      return await applyRecipe(
        getCore(model),
        {
          score: { by: "confidence", seed: 0, temperature },
          select: {},
          after: { recalibrate: { batch: 16 } },
        },
        { weights },
        inputs,
      );
    };
    const { temperature: choice, layers } = await apply("validation"), ended = await model.state();
    assertEquals(countRemovedWeights(layers), weights);
    checkLowest(choice!);
    chosen.add(choice!.temperature);
    let repeated = 0;
    for (const { temperature, loss } of choice!.tried) {
      assertEquals((await apply(temperature)).temperature, undefined);
      assertEquals((await model.evaluate(validation)).loss, loss, `${temperature}`);
      if (temperature !== choice!.temperature) continue;
      repeated++;
      assertEquals(await model.state(), ended);
    }
    assertEquals(repeated, 1);
  }
  assert([...chosen].some((temperature) => temperature !== 1), `${[...chosen]}`);
});

Deno.test("runCompare() takes the temperature of the lowest validation loss, and reports all that were tried", async () => {
  const variants = ["confidence/T=auto", ...posteriorTemperatures.map((T) => `confidence/T=${T}`)];
  const options = { dataset, graph: normedGraph(), sparsities: [0.6, 0.8], seeds: [1], versions };
  const config = configOf({ posteriorTemperature: 1 });
  const { cells } = await runCompare(await deviceOf(), { ...options, config, variants });
  const chosen = cells.filter(({ variant }) => variant === variants[0]);
  assertEquals(chosen.length, 2);
  for (const { variant: _, posteriorTemperatures: choices, ...cell } of chosen) {
    assertEquals(choices!.length, 1);
    checkLowest(choices![0]);
    let repeated = 0;
    for (const { temperature, loss } of choices![0].tried) {
      const { variant: _, ...fixed } = cells.find(({ variant, seed, sparsity }) =>
        variant === `confidence/T=${temperature}` && seed === cell.seed && sparsity === cell.sparsity
      )!;
      assertEquals(fixed.validation!.loss, loss, "what was tried is what comes of it");
      if (temperature !== choices![0].temperature) continue;
      repeated++;
      assertEquals(fixed, cell);
    }
    assertEquals(repeated, 1);
  }
  const temperatures = chosen.map((cell) => cell.posteriorTemperatures![0].temperature);
  assert(temperatures.some((temperature) => temperature !== 1), `${temperatures}`);
  // Other criteria know none, though the configuration has one chosen.
  const other = await runCompare(await deviceOf(), {
    ...options,
    config: configOf({ compare: true }),
    variants: ["obd", "confidence"],
    seeds: [1],
  });
  assertEquals(other.cells.map(({ posteriorTemperatures: all = [] }) => all.length), [0, 0, 1, 1]);
  assertEquals(other.cells[2].posteriorTemperatures, chosen[0].posteriorTemperatures);
});

Deno.test("runCompare() chooses a temperature at each stage where kept weights are refitted", async () => {
  const compare = async (variants: readonly string[]) =>
    (await runCompare(await deviceOf(), {
      ...{ dataset, graph: tinyGraph(), sparsities: [0.7, 0.5], seeds: [1], versions, variants },
      config: configOf({ posteriorTemperature: 1 }),
    })).cells;
  for (const name of ["refit", "obs"]) {
    const cells = await compare([`confidence/${name}/T=auto`]);
    assertEquals(cells.map(({ posteriorTemperatures: all }) => all!.length), [2, 1]);
    cells.flatMap(({ posteriorTemperatures: all }) => all!).forEach(checkLowest);
    assertEquals(await compare([`confidence/${name}/T=auto`]), cells);
  }
});

/** Goals of all kinds that a removal may have. */
const goals = {
  weights: { sparsity: 0.7, rounds: 2, compare: true, finetuneEpochs: 1 },
  "a cost": { targetMultiplyAdds: 0.5, rounds: 1 },
  channels: { granularity: "channel", targetParameters: 0.6, rounds: 1, roundTo: 1 },
  "a pattern": { granularity: "1:4" },
  "a refit": { criterion: "confidence", refit: "layers", sparsity: 0.7, rounds: 2 },
};

for (const [name, goal] of Object.entries(goals)) {
  Deno.test(`runPrune() reports the temperature of each round, ${name}`, async () => {
    const gpu = await deviceOf(), start = gpu.allocatedBytes, config = configOf(goal);
    const run = () => runPrune(gpu, { config, dataset, graph: normedGraph() });
    const { report, model } = await run();
    assertEquals(gpu.allocatedBytes, start, "nothing is left on the device");
    assertEquals(pruneReportSchema.parse(JSON.parse(JSON.stringify(report))), report);
    assertEquals(report.rounds.length, countRounds(config.prune.goal));
    for (const { posteriorTemperature } of report.rounds) checkLowest(posteriorTemperature!);
    for (const { criterion, posteriorTemperature } of report.criteria) {
      assertEquals(posteriorTemperature !== undefined, criterion === "confidence");
    }
    if (name !== "weights") return;
    const again = await run();
    assertEquals([again.report, again.model], [report, model]);
    const plain = await runPrune(gpu, {
      config: configOf({ ...goal, posteriorTemperature: 1 }),
      dataset,
      graph: normedGraph(),
    });
    assertEquals(plain.report.rounds[0].posteriorTemperature, undefined);
    assertEquals(plain.report.parameters, report.parameters);
  });
}

Deno.test("Model.prune() refuses to choose a temperature that would do nothing, and runSensitivity() to choose any", async () => {
  const gpu = await deviceOf();
  using model = new Model(gpu, tinyGraph(), { task: dataset });
  const { train, test } = dataset;
  const refused = (more: Partial<ModelPruneOptions>, message: string, goal: number | PruneGoal = 0.5) =>
    assertRejects(
      () =>
        model.prune(goal, {
          ...{ examples: 96, calibration: train, test, validation: test },
          ...{ finetune: () => Promise.resolve(), temperature: "validation", ...more },
        }),
      ConfigError,
      `Cannot prune with "temperature validation": ${message}`,
    );
  await refused({ by: "obd" }, "the criterion is obd, expected confidence");
  await refused({}, "a threshold says what goes, expected another goal", { threshold: 1 });
  await refused({ validation: undefined }, "there are no validation examples, expected some to choose by");
  await assertRejects(
    () =>
      runSensitivity(gpu, { config: configOf(), dataset, graph: tinyGraph(), sparsities: [0.5], versions }),
    ConfigError,
    'Cannot scan at "prune.score.temperature validation"',
  );
});
