/**
 * Pruning with refits through a model, from images: exact counts, and losses below those of removal alone.
 */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { Model } from "../../src/api/model.ts";
import { holdRefit } from "../../src/api/open_refit.ts";
import { getCore } from "../../src/api/model_core.ts";
import type { ModelPruneOptions } from "../../src/api/model_options.ts";
import { ConfigError } from "../../src/errors.ts";
import { residualNetwork } from "../../src/model/presets/resnet.ts";
import type { AfterRemoval } from "../../src/prune/recipe.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const dataset = tinyDataset({ train: 128, test: 60 });

Deno.test("Model.pruneWithRefit() removes exactly what is asked, and loses less than removal alone", async () => {
  const gpu = await deviceOf(), before = gpu.allocatedBytes;
  {
    const stages = [{ channels: 5, blocks: 1 }, { channels: 8, blocks: 1 }];
    const form = { name: "resnet6", stem: 3, stages, shortcut: "projection", head: "linear" } as const;
    const graph = residualNetwork(form, { channels: 1, height: 8, width: 8, classes: 4 });
    using model = new Model(gpu, graph, { task: dataset, seed: 1 });
    await model.train(dataset.train, { epochs: 6, batch: 16, learningRate: 0.05, seed: 1 });
    const trained = await model.state(), prunable = getCore(model).network.layout.prunableCount;
    const removed = Math.floor(0.75 * prunable + 1e-6);
    await model.score(dataset.train, { by: "magnitude", examples: 1 });
    await model.remove(removed);
    const masked = await model.evaluate(dataset.test);
    model.restore(trained);
    const ended: number[] = [];
    const stagesDone = await model.pruneWithRefit({
      sparsity: 0.75,
      calibration: dataset.train,
      batch: 50,
      onStage: ({ sparsity }) => void ended.push(sparsity),
    });
    assertEquals(ended, [0.5, 0.7, 0.75]);
    const counts = await getCore(model).pruner.count();
    assertEquals(counts.reduce((sum, { weights, kept }) => sum + weights - kept, 0), removed);
    const kept = stagesDone[2].layers.map((layer) => layer.kept.reduce((sum, rows) => sum + rows, 0));
    assertEquals(kept, counts.map((layer) => layer.kept));
    const replaced = await model.evaluate(dataset.test);
    assert(replaced.loss < masked.loss, `a loss of ${replaced.loss}, by removal alone ${masked.loss}`);
    const { masks, parameters } = await model.state();
    for (const [name, mask] of masks) {
      assert(parameters.get(name)!.every((value, i) => mask[i] !== 0 || value === 0), name);
    }
    await assertRejects(
      () => model.pruneWithRefit({ sparsity: 0.9, stages: [0.5], calibration: dataset.train }),
      ConfigError,
      'Cannot prune with refit to "0.9": stages [0.5], expected it as the last of them',
    );
  }
  assertEquals(gpu.allocatedBytes, before, "a disposed model leaves nothing");
});

Deno.test("Model.pruneWithRefit() removes whole channels, and no single weights of them", async () => {
  const gpu = await deviceOf();
  const stages = [{ channels: 8, blocks: 1 }];
  const form = { name: "resnet4", stem: 3, stages, shortcut: "projection", head: "linear" } as const;
  const graph = residualNetwork(form, { channels: 1, height: 8, width: 8, classes: 4 });
  using model = new Model(gpu, graph, { task: dataset, seed: 1 });
  const calibration = dataset.train, groups = { granularity: "channel", sparsity: 0.3, calibration } as const;
  await model.pruneWithRefit({ ...groups, stages: [0.3], batch: 64 });
  const { parameters, masks } = await model.state();
  const counts = await getCore(model).pruner.count();
  const kept = counts.reduce((sum, layer) => sum + layer.kept, 0);
  assert(kept <= 0.7 * getCore(model).network.layout.prunableCount, `${kept} weights are kept`);
  assert(counts.some(({ emptyChannels }) => emptyChannels > 0));
  for (const [name, mask] of masks) {
    assert(parameters.get(name)!.every((value, i) => mask[i] !== 0 || value === 0), name);
  }
  await assertRejects(
    () => model.pruneWithRefit({ ...groups, selectionSteps: 2 }),
    ConfigError,
    'Cannot prune with refit to "channels": 2 steps of selection, expected 0, since they choose single weights',
  );
});

Deno.test("Model.refit() takes any mask as it is", async () => {
  const gpu = await deviceOf();
  const stages = [{ channels: 8, blocks: 1 }];
  const form = { name: "resnet4", stem: 3, stages, shortcut: "pad", head: "linear" } as const;
  const graph = residualNetwork(form, { channels: 1, height: 8, width: 8, classes: 4 });
  using model = new Model(gpu, graph, { task: dataset, seed: 1 });
  await model.score(dataset.train, { by: "magnitude", examples: 1 });
  const layers = await model.refit({
    calibration: dataset.train,
    remove: () => getCore(model).pruner.removePattern({ keep: 2, of: 4 }),
  });
  const counts = await getCore(model).pruner.count();
  assertEquals(
    layers.map(({ kept }) => kept.reduce((sum, row) => sum + row, 0)),
    counts.map(({ kept }) => kept),
  );
  assertEquals(counts[2].kept, counts[2].weights / 2);
});

Deno.test("holdRefit() keeps its target over removals, and takes another after training or another state", async () => {
  const gpu = await deviceOf(), before = gpu.allocatedBytes;
  {
    using model = new Model(gpu, tinyGraph(), { task: dataset, seed: 1 });
    const core = getCore(model), signal = undefined;
    const hold = (more = {}) =>
      holdRefit(core, dataset.train, { settings: { images: 20, positions: 4, ...more }, signal });
    const dense = await model.state(), first = await hold();
    await model.score(dataset.train, { by: "magnitude", examples: 1 });
    await model.remove(100);
    await first!.apply();
    const pruned = await model.state();
    assert(await hold() === first);
    for (const state of [dense, pruned]) {
      model.restore(state);
      assert(await hold() === first, "states of the network that it was opened for");
    }
    assert(await hold({ seed: 1 }) !== first);
    const choosing = { selectionSteps: 2 }, second = await hold(choosing);
    model.restore(dense);
    assert(await hold(choosing) !== second, "layers choose anew");
    const third = await hold();
    model.restore({ ...dense });
    const fourth = await hold();
    assert(fourth !== third, "a state of which nothing is known");
    await model.train(dataset.train, { epochs: 1, batch: 16 });
    assert(await hold() !== fourth);
    assertEquals(await holdRefit(core, dataset.train, { settings: undefined, signal }), undefined);
  }
  assertEquals(gpu.allocatedBytes, before);
});

Deno.test("Model.prune() refits, or measures batch norm anew, after each removal as Model.refit() does", async () => {
  const gpu = await deviceOf(), settings = { images: 64, positions: 8 };
  const options = {
    ...{ by: "magnitude" as const, examples: 1, rounds: 1 },
    ...{ calibration: dataset.train, test: dataset.test },
  } as const;
  const removed = async (model: Model) => {
    await model.score(dataset.train, { by: "magnitude", examples: 1 });
    await model.remove(Math.floor(0.6 * getCore(model).network.layout.prunableCount));
  };
  const held: number[] = [];
  const ended = async (act: (model: Model) => Promise<unknown>) => {
    const stages = [{ channels: 8, blocks: 1 }];
    const form = { name: "resnet4", stem: 3, stages, shortcut: "pad", head: "linear" } as const;
    const graph = residualNetwork(form, { channels: 1, height: 8, width: 8, classes: 4 });
    using model = new Model(gpu, graph, { task: dataset, seed: 1 });
    await act(model);
    held.push(gpu.allocatedBytes);
    return await model.state();
  };
  const prune = (after: AfterRemoval) => (model: Model) =>
    model.prune(0.6, { ...options, after, finetune: () => Promise.resolve() });
  const refitted = await ended(prune({ refit: settings }));
  assertEquals(
    refitted,
    await ended((model) =>
      model.refit({ calibration: dataset.train, ...settings, remove: () => removed(model) })
    ),
  );
  const measured = await ended(prune({ recalibrate: { batch: 16 } }));
  assertEquals(
    measured,
    await ended(async (model) => {
      await removed(model);
      await model.recalibrate(dataset.train, { batch: 16 });
    }),
  );
  assertNotEquals(measured, refitted);
  await ended(prune({}));
  assertEquals(held[0], held.at(-1), "a refit is freed with the call");
  const refused = (more: Partial<ModelPruneOptions>, message: string) =>
    assertRejects(
      () => ended((model) => model.prune(0.6, { ...options, finetune: () => Promise.resolve(), ...more })),
      ConfigError,
      message,
    );
  await refused({ after: { refit: {}, recalibrate: {} } }, "expected refit or recalibrate");
  await refused(
    { after: { refit: { selectionSteps: 3 } }, granularity: "filter" },
    'Cannot prune with "after.refit.selectionSteps": 3, expected 0, unless layers choose single weights',
  );
});
