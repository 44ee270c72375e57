/** Models whose arenas are larger than what kernels bind at once, against the same models in one window. */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { Model } from "../../src/api/model.ts";
import { getCore } from "../../src/api/model_core.ts";
import { configOf } from "../helpers/config.ts";
import { ShapeError } from "../../src/errors.ts";
import type { Files } from "../../src/files.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { ArenaRole } from "../../src/kernels/buffer_ref.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { parseGraph } from "../../src/model/graph.ts";
import { adam, sgd } from "../../src/plan/optimizer.ts";
import { coupleChannels } from "../../src/prune/groups/coupling.ts";
import { sumGroups } from "../../src/prune/groups/scores.ts";
import { PruneBuffers } from "../../src/prune/prune_buffers.ts";
import { criteria } from "../../src/prune/score/criteria.ts";
import type { RemovalOptions } from "../../src/prune/select/removal.ts";
import { fitRunSizes } from "../../src/runs/plans.ts";
import { type PruneRunOptions, runPrune } from "../../src/runs/prune.ts";
import { averagedSchedule } from "../../src/train/schedule.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { openSmallGpu } from "../helpers/small_device.ts";
import { tinyDataset, tinySize } from "../helpers/tiny_dataset.ts";
import { readPaths } from "../kernels/harness.ts";

const dataset = tinyDataset({ train: 96, test: 32 });

/** A residual network of 2,200 quads; a convolution of 576 quads is the largest layer. */
const graph = parseGraph({
  name: "windowed",
  input: { channels: 1, height: tinySize, width: tinySize },
  layers: [
    { kind: "conv2d", name: "conv0", outChannels: 16, kernel: 3, stride: 2, padding: 1, bias: false },
    { kind: "batchnorm2d", name: "norm0" },
    { kind: "relu", name: "relu0" },
    { kind: "conv2d", name: "conv1", outChannels: 16, kernel: 3, padding: 1, bias: false },
    { kind: "batchnorm2d", name: "norm1" },
    { kind: "relu", name: "relu1" },
    { kind: "conv2d", name: "conv2", outChannels: 16, kernel: 3, padding: 1 },
    { kind: "batchnorm2d", name: "norm2" },
    { kind: "add", name: "sum", inputs: ["norm2", "relu0"] },
    { kind: "relu", name: "relu2" },
    { kind: "conv2d", name: "conv3", outChannels: 14, kernel: 3, padding: 1 },
    { kind: "relu", name: "relu3" },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 4 },
  ],
}, "a test");

/** What kernels bind of the small device: two of the larger convolutions, and not three. */
const bindingBytes = 16 * 1300;

/** A network that takes several windows of what the refit of a layer holds at once: many layers of 64 KiB. */
const deep = {
  bindingBytes: 16 * 43_000,
  graph: parseGraph({
    name: "deep",
    input: { channels: 1, height: tinySize, width: tinySize },
    layers: [
      { kind: "maxpool2d", name: "pool", kernel: 2, stride: 2 },
      { kind: "flatten", name: "flatten" },
      ...Array.from({ length: 25 }, (_, i) => [
        { kind: "linear", name: `fc${i}`, outFeatures: 128 },
        { kind: "leakyrelu", name: `relu${i}` },
      ]).flat(),
      { kind: "linear", name: "last", outFeatures: 4 },
    ],
  }, "a test"),
};

const training = { epochs: 2, batch: 8, learningRate: 0.02, schedule: averagedSchedule };
const scoring = { examples: 96 };

/** A device on which products are not split, since their parts would not fit a small one. */
async function openDevice(path: ReadPath | "auto", maxBindingBytes: number): Promise<Gpu> {
  const gpu = await openSmallGpu(maxBindingBytes, { path });
  gpu.choose = () => ({
    core: gpu.path === "texture" ? "gemm/software/register_8x8" : "gemm/gpu/tile_64x64",
    splits: 1,
  });
  return gpu;
}

/** Does the same to a model in one window and to one in several. */
async function onBoth<Result>(
  path: ReadPath,
  act: (model: Model) => Promise<Result>,
  network = { graph, bindingBytes },
): Promise<{ readonly whole: Result; readonly windowed: Result }> {
  const on = async (maxBindingBytes: number, windows: number) => {
    using gpu = await openDevice(path, maxBindingBytes);
    using model = new Model(gpu, network.graph, { task: dataset, seed: 1, evaluationBatch: 8 });
    assertEquals(getCore(model).network.layout.windows.length, windows);
    return await act(model);
  };
  return { whole: await on(2 ** 27, 1), windowed: await on(network.bindingBytes, 3) };
}

/** Where two results differ first, and how; undefined if they are the same. They are too large to print. */
function findDifference(got: unknown, want: unknown, path = "result"): string | undefined {
  if (Object.is(got, want)) return undefined;
  if (typeof got !== "object" || typeof want !== "object" || !got || !want) {
    return `${path}: ${got}, not ${want}`;
  }
  const [own, wanted] = [got, want].map((value) => [...value instanceof Map ? value : Object.entries(value)]);
  if (own.length !== wanted.length) return `${path}: ${own.length} parts, not ${wanted.length}`;
  for (const [i, [key, value]] of own.entries()) {
    const [wantedKey, wantedValue] = wanted[i];
    if (key !== wantedKey) return `${path}: ${key}, not ${wantedKey}`;
    const found = findDifference(value, wantedValue, `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What some arenas of a model hold. */
async function arenasOf(model: Model, roles: readonly ArenaRole[]) {
  const { network } = getCore(model);
  return await Promise.all(roles.map((role) => network.readArena(role)));
}

/** Trains as all that is pruned here was trained: with all that criteria need. */
const train = (model: Model) =>
  model.train(dataset.train, { ...training, optimizer: sgd({ decayBias: false }), keepsVariance: true });

const removals: readonly RemovalOptions[] = [
  {},
  { scope: "layer" },
  { floor: 0.3, protect: ["conv1"] },
  { granularity: "filter" },
  { granularity: { rows: 2, channels: 3 } },
];

for (const path of readPaths) {
  Deno.test(`a model in windows trains to the same bits, ${path} path`, async () => {
    for (
      const options of [
        { optimizer: sgd({ weightDecay: 5e-4, l1: 1e-5, decayBias: false }), keepsVariance: true },
        { optimizer: adam({ weightDecay: 5e-4, clipValue: 0.1 }), accumulate: 2 },
      ]
    ) {
      const { whole, windowed } = await onBoth(path, async (model) => {
        const { seconds: _, ...result } = await model.train(dataset.train, { ...training, ...options });
        const evaluation = await model.evaluate(dataset.test);
        return {
          result,
          evaluation,
          arenas: await arenasOf(model, ["values", "mean", "velocity", "statistics"]),
        };
      });
      assertEquals(findDifference(windowed, whole), undefined);
    }
  });

  Deno.test(`a model in windows is scored and pruned to the same bits, ${path} path`, async () => {
    const { whole, windowed } = await onBoth(path, async (model) => {
      // All scales are 1 at first, so that weights go by their places alone, of more than one window.
      const initial = await model.state();
      await model.score(dataset.test, { ...scoring, by: "bn-scale" });
      const ties = [await model.remove(3000), await model.state()];
      model.restore(initial);
      await train(model);
      const trained = await model.state(), results = [];
      for (const criterion of criteria) {
        for (const options of criterion === "magnitude" ? removals : removals.slice(0, 1)) {
          model.restore(trained);
          await model.score(dataset.test, { ...scoring, by: criterion, seed: 3 });
          const layers = await model.remove(3000, options);
          results.push({ criterion, options, layers, state: await model.state() });
        }
      }
      return { ties, results };
    });
    assertEquals(findDifference(windowed, whole), undefined);
  });

  Deno.test(`a model in windows keeps patterns, regrows and goes by channels and rounds as one in one, ${path} path`, async () => {
    const { whole, windowed } = await onBoth(path, async (model) => {
      await train(model);
      const { layers } = await model.confidence(dataset.test, scoring);
      const trained = await model.state();
      await getCore(model).pruner.removePattern({ keep: 2, of: 4 });
      const regrown = await getCore(model).pruner.regrow(0.1);
      const pattern = await model.state();
      // Groups add up scores window by window, so that their sums may differ in the last bits, but no group's rank.
      model.restore(trained);
      await model.score(dataset.test, { ...scoring, by: "confidence" });
      const below = await getCore(model).pruner.countBelow(1, { granularity: "channel" });
      const channels = await model.remove(3000, { granularity: "channel" });
      const rest = await model.state();
      const before = await model.predict(dataset.test.pixels);
      const { largestDifference, ...compaction } = await model.compact(dataset.test);
      assert(largestDifference < 1e-5, `${largestDifference}`);
      const compacted = await model.state();
      const tuned = await train(model);
      const { seconds: _, ...finetuned } = tuned;
      const results = {
        layers,
        regrown,
        pattern,
        below,
        channels,
        rest,
        before,
        compaction,
        compacted,
        finetuned,
      };
      return { ...results, after: await model.state() };
    });
    assert(whole.regrown > 0 && whole.below > 0);
    assertEquals(findDifference(windowed, whole), undefined);
  });

  Deno.test(`a model in windows is refitted to the same bits, ${path} path`, async () => {
    const { whole, windowed } = await onBoth(path, async (model) => {
      const stages = await model.pruneWithRefit({
        ...{ sparsity: 0.9, stages: [0.9], calibration: dataset.train, images: 64, batch: 32 },
      });
      return { stages, arenas: await arenasOf(model, ["values", "mask"]) };
    }, deep);
    assertEquals(findDifference(windowed, whole), undefined);
  });
}

Deno.test("sumGroups() adds up windows in order, within rounding of one window", async () => {
  const { whole, windowed } = await onBoth("storage", async (model) => {
    await train(model);
    await model.score(dataset.test, { ...scoring, by: "confidence" });
    using buffers = new PruneBuffers(getCore(model).network);
    const { groups } = coupleChannels(graph);
    return await sumGroups(buffers, groups, { part: "all", isSquared: true });
  });
  assertEquals(windowed.counts, whole.counts);
  // Sums of terms that are not negative: each order is off by at most an epsilon per addition.
  const most = Math.max(...whole.counts) * 2 ** -23;
  for (const [group, sum] of whole.sums.entries()) {
    assert(Math.abs(windowed.sums[group] - sum) <= most * sum, `group ${group}`);
  }
});

Deno.test("runPrune() in windows ends with the same report and bytes, also where it is stopped and goes on", async () => {
  const config = configOf({
    ...{ epochs: 2, batch: 8, rounds: 2, seed: 1, checkpointEvery: 3, sparsity: 0.6, calibration: 16 },
  });
  const run = async (gpu: Gpu, options: Partial<PruneRunOptions> = {}) => {
    const { report, model } = await runPrune(gpu, { config, dataset, graph, ...options });
    return { rounds: report.rounds, criteria: report.criteria, model };
  };
  using large = await openDevice("auto", 2 ** 27);
  using small = await openDevice("auto", bindingBytes);
  const files = memoryFiles(), folder = "out/checkpoint", stop = new AbortController();
  let writes = 0;
  const stopping: Files = {
    ...files,
    async write(path, bytes) {
      await files.write(path, bytes);
      if (++writes === 5) stop.abort();
    },
  };
  const first = run(small, { checkpoints: { files: stopping, folder, resumes: false }, signal: stop.signal });
  await assertRejects(() => first);
  const resumed = await run(small, { checkpoints: { files, folder, resumes: true } });
  assertEquals(findDifference(resumed, await run(large)), undefined);
});

Deno.test("a layer that is larger than what kernels bind at once is refused before anything is allocated", async () => {
  using gpu = await openSmallGpu(16 * 575);
  const says =
    'Cannot place layer "conv1": its parameters take 9344 bytes, expected at most 9200, which is what the ' +
    "adapter binds at once";
  assertThrows(() => new Model(gpu, graph, { task: dataset }), ShapeError, says);
  // A run asks this first of all, before it tunes.
  assertThrows(() => fitRunSizes(gpu, graph, { batch: 1, train: 96, test: 32 }), ShapeError, says);
  assertEquals(gpu.allocatedBytes, 0);
});

Deno.test("an arena that is larger than the largest buffer is refused, whatever its windows", async () => {
  using gpu = await openSmallGpu(bindingBytes, { maxBufferBytes: 32_000 });
  const says = /^Cannot allocate buffer "values": \d+ bytes, expected at most 32000 bytes on /;
  assertMatch(assertThrows(() => new Model(gpu, graph, { task: dataset }), ShapeError).message, says);
});
