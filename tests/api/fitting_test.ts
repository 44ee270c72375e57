/** Batches that a device can hold, on one whose buffers may only be small. */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { Model } from "../../src/api/model.ts";
import { runPrune } from "../../src/runs/prune.ts";
import { fitRunSizes } from "../../src/runs/plans.ts";
import { configOf } from "../helpers/config.ts";
import { ShapeError } from "../../src/errors.ts";
import { parseGraph } from "../../src/model/graph.ts";
import { deviceOf } from "../helpers/devices.ts";
import { openSmallGpu } from "../helpers/small_device.ts";
import { tinyDataset, tinySize } from "../helpers/tiny_dataset.ts";

const dataset = tinyDataset({ train: 400, test: 300 });
// An example takes 4 x 64 quads behind the first convolution, which is more than arenas and split sums take.
const graph = parseGraph({
  name: "wide",
  input: { channels: 1, height: tinySize, width: tinySize },
  layers: [
    { kind: "conv2d", name: "conv1", outChannels: 16, kernel: 1 },
    { kind: "batchnorm2d", name: "norm" },
    { kind: "relu", name: "relu" },
    { kind: "conv2d", name: "conv2", outChannels: 4, kernel: 1, stride: 4 },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 4 },
  ],
}, "a test");
const exampleBytes = 16 * 4 * 64, scoring = { examples: 400 };

Deno.test("evaluation takes the batch that the device can hold, for the same result", async () => {
  using gpu = await openSmallGpu(10 * exampleBytes);
  using small = new Model(gpu, graph, { task: dataset, seed: 1 });
  const large = await deviceOf();
  using whole = new Model(large, graph, { task: dataset, seed: 1 });
  const want = await whole.evaluate(dataset.test), got = await small.evaluate(dataset.test);
  assertEquals([got.predictions, got.confusion, got.count], [want.predictions, want.confusion, 300]);
  assert(Math.abs(got.loss - want.loss) < 1e-5);
  using asked = new Model(large, graph, { task: dataset, seed: 1, evaluationBatch: 7 });
  assertEquals((await asked.evaluate(dataset.test)).predictions, want.predictions);
});

Deno.test("what a model does beside training fits a device that can hold few examples", async () => {
  using gpu = await openSmallGpu(10 * exampleBytes);
  using model = new Model(gpu, graph, { task: dataset, seed: 1 });
  const earlyStopping = { patience: 0, measure: "loss" } as const;
  const { best } = await model.train(dataset.train, {
    ...{ epochs: 1, batch: 4, earlyStopping, validation: dataset.test, learningRate: 0.01 },
  });
  assert(best !== undefined);
  assertEquals(await model.recalibrate(dataset.train, { batch: 64, maxBatches: 3 }), 3);
  await model.confidence(dataset.test, scoring);
  await model.score(dataset.test, { ...scoring, by: "magnitude" });
  await model.remove(70, { granularity: "channel" });
  assert((await model.compact(dataset.test)).largestDifference < 1e-4);
});

Deno.test("a refit runs as many examples together as the device can hold", async () => {
  // What it takes of layers depends on its positions, and not on the batch alone.
  using gpu = await openSmallGpu(32 * exampleBytes);
  using model = new Model(gpu, graph, { task: dataset, seed: 1 });
  await model.score(dataset.test, { ...scoring, by: "magnitude" });
  const layers = await model.refit({
    ...{ calibration: dataset.train, images: 100, positions: 4 },
    remove: () => model.remove(60),
  });
  assertEquals(layers.map(({ name }) => name), ["conv1", "conv2", "fc"]);
});

Deno.test("a batch that does not fit is refused before anything is done, with the largest that fits", async () => {
  using gpu = await openSmallGpu(10 * exampleBytes);
  using model = new Model(gpu, graph, { task: dataset });
  const before = await model.state(), start = gpu.allocatedBytes;
  const says =
    /^Cannot train with "batch of 64": it takes \d+ bytes in one buffer, where .* holds 40960, expected at most 10$/;
  const training = { epochs: 1, batch: 64 };
  assertMatch((await assertRejects(() => model.train(dataset.train, training), ShapeError)).message, says);
  assertMatch(assertThrows(() => model.footprint(dataset.train, training), ShapeError).message, says);
  assertEquals(gpu.allocatedBytes, start);
  const sizes = { batch: 64, train: 400, test: 300 };
  assertMatch(assertThrows(() => fitRunSizes(gpu, graph, sizes), ShapeError).message, says);
  const refits = [{ by: "blocks", batch: 64 }] as const;
  assertEquals(fitRunSizes(gpu, graph, { ...sizes, batch: 10, refits }), {
    ...sizes,
    batch: 10,
    evaluationBatch: 10,
    scoreBatch: 10,
    refits: [{ by: "blocks", batch: 10 }],
  });
  await model.train(dataset.train, { epochs: 1, batch: 10 });
  model.restore(before);
  const asked = /^Cannot evaluate with "batch of 11": it takes .*, expected at most 10$/;
  using eleven = new Model(gpu, graph, { task: dataset, evaluationBatch: 11 });
  assertMatch((await assertRejects(() => eleven.evaluate(dataset.test), ShapeError)).message, asked);
  assertThrows(
    () => fitRunSizes(gpu, graph, { ...sizes, batch: 10, evaluationBatch: 11 }),
    ShapeError,
    "at most 10",
  );
});

Deno.test("a device that cannot hold one example says so", async () => {
  using none = await openSmallGpu(exampleBytes - 16);
  using hopeless = new Model(none, graph, { task: dataset });
  const one =
    /^Cannot evaluate "wide": one example takes 4096 bytes in one buffer, expected at most 4080 on /;
  assertMatch((await assertRejects(() => hopeless.evaluate(dataset.test), ShapeError)).message, one);
});

Deno.test("a teacher that does not fit the batch of its student is refused before training", async () => {
  using gpu = await openSmallGpu(10 * exampleBytes);
  const { layers, ...rest } = graph;
  const narrow = { ...rest, layers: [{ ...layers[0], outChannels: 4 }, ...layers.slice(1)] } as typeof graph;
  using student = new Model(gpu, narrow, { task: dataset });
  using teacher = new Model(gpu, graph, { task: dataset });
  const options = { epochs: 1, teacher, distillation: { share: 0.5, temperature: 1 } };
  const error = await assertRejects(
    () => student.train(dataset.train, { ...options, batch: 20 }),
    ShapeError,
  );
  assertMatch(error.message, /"batch of 20".*expected at most 10$/);
  await student.train(dataset.train, { ...options, batch: 10 });
});

Deno.test("runPrune() takes what fits, and the batch of evaluation that is asked for is in its report", async () => {
  const settings = {
    ...{
      epochs: 1,
      batch: 8,
      limit: 100,
      testLimit: 60,
      calibration: 20,
      validation: 20,
      sparsity: 0.5,
      rounds: 1,
    },
    ...{ finetuneEpochs: 1, granularity: "channel", floor: 0.25, compare: false },
  };
  using gpu = await openSmallGpu(10 * exampleBytes);
  const run = async (more: object) => {
    const config = configOf({ ...settings, ...more });
    return (await runPrune(gpu, { config, dataset, graph })).report;
  };
  const fitting = await run({}), asked = await run({ evaluationBatch: 3 });
  assertEquals(asked.config.device.evaluationBatch, 3);
  assert(!("evaluationBatch" in fitting.config.device));
  assert(fitting.compaction !== null);
  await assertRejects(() => run({ evaluationBatch: 11 }), ShapeError, "at most 10");
  await assertRejects(() => run({ batch: 64 }), ShapeError, "at most 10");
});
