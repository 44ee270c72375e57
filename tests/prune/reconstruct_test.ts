/**
 * Refits beyond single layers through a model, from images: the distance from the dense network, which the f64 reference
 * computes, falls; what is removed, and what is not trained, stays.
 */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { Model } from "../../src/api/model.ts";
import { getCore } from "../../src/api/model_core.ts";
import type { ModelState } from "../../src/api/model_options.ts";
import { ConfigError } from "../../src/errors.ts";
import { resolveGraph } from "../../src/model/graph.ts";
import { residualNetwork } from "../../src/model/presets/resnet.ts";
import { findReconstructedLayers } from "../../src/plan/reconstruction.ts";
import type { RefitSettings } from "../../src/prune/refit/settings.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset, tinySize } from "../helpers/tiny_dataset.ts";
import { referenceOutputs, type Tensors } from "../plan/reference_graph.ts";
import { featureDistance } from "../reference/features.ts";
import { tensorOf } from "../reference/tensor.ts";

const dataset = tinyDataset({ train: 128, test: 60 }), calibration = dataset.train;
const stages = [{ channels: 5, blocks: 1 }, { channels: 8, blocks: 1 }];
const form = { name: "resnet6", stem: 4, stages, shortcut: "pad", head: "linear" } as const;
const graph = residualNetwork(form, { channels: 1, height: tinySize, width: tinySize, classes: 4 });
const training = { steps: 24, batch: 32, learningRate: 3e-3, augmentation: "flip" } as const;

/** A trained model of the graph. */
async function openTrained(): Promise<Model> {
  const model = new Model(await deviceOf(), graph, { task: dataset, seed: 1 });
  await model.train(dataset.train, { epochs: 6, batch: 16, learningRate: 0.05, seed: 1 });
  return model;
}

/** The loss of a reconstruction on all calibration images, in f64. */
function measureDistance(state: ModelState, dense: ModelState): number {
  const { pixels, count } = calibration, { mean, std } = dataset;
  const numbers = Float64Array.from(pixels, (byte) => (byte / 255 - mean[0]) / std[0]);
  const images = tensorOf([count, 1, tinySize, tinySize], numbers);
  const shapes = resolveGraph(graph).flatMap(({ spec, parameters }) =>
    parameters.map(({ name, shape }) => [`${spec.name}.${name}`, shape] as const)
  );
  const [own, wanted] = [state, dense].map(({ parameters }) => {
    const tensors: Tensors = Object.fromEntries(
      shapes.map(([name, shape]) => [name, tensorOf(shape, parameters.get(name)!)]),
    );
    return referenceOutputs(graph, tensors, images);
  });
  return findReconstructedLayers(resolveGraph(graph))
    .map((layer) => graph.layers[layer].name)
    .reduce((sum, name) => sum + featureDistance(own.get(name)!, wanted.get(name)!, 1).loss, 0);
}

/** Removes two thirds of the weights of a model, and refits the others. */
async function refit(model: Model, settings: Partial<RefitSettings>, labels = calibration.labels) {
  const split = { ...calibration, labels };
  await model.refit({
    calibration: split,
    ...settings,
    remove: async () => {
      await model.score(calibration, { by: "magnitude", examples: 1 });
      await model.remove(Math.floor(2 / 3 * getCore(model).network.layout.prunableCount));
    },
  });
  return await model.state();
}

Deno.test("Model.refit() comes nearer to the dense network beyond single layers, and moves nothing that is removed", async () => {
  const gpu = await deviceOf(), before = gpu.allocatedBytes;
  {
    using model = await openTrained();
    const dense = await model.state();
    const layers = await refit(model, { batch: training.batch }), start = measureDistance(layers, dense);
    for (const by of ["blocks", "end-to-end"] as const) {
      model.restore(dense);
      const state = await refit(model, { by, ...training });
      const distance = measureDistance(state, dense);
      assert(distance < start, `${by}: ${distance} after ${start}`);
      assertEquals(state.masks, layers.masks);
      for (const [name, mask] of state.masks) {
        assert(state.parameters.get(name)!.every((value, i) => mask[i] !== 0 || value === 0), name);
      }
      const statistics = [...state.parameters.keys()].filter((name) => name.includes("running"));
      assert(statistics.length > 0);
      for (const name of statistics) {
        assertEquals(state.parameters.get(name), layers.parameters.get(name), `${by}: ${name}`);
      }
      // The same bits for the same seed, whatever the labels are.
      model.restore(dense);
      const labels = calibration.labels.map((label) => 3 - label);
      assertEquals((await refit(model, { by, ...training }, labels)).parameters, state.parameters);
      // Likewise where the dense network computes each image once, which it does without memory for it as well.
      const still = { ...training, by, augmentation: "none" } as const;
      model.restore(dense);
      const kept = await refit(model, still);
      model.restore(dense);
      assertEquals((await refit(model, { ...still, memoryBytes: 0 })).parameters, kept.parameters);
      model.restore(dense);
      const other = await refit(model, { by, ...training, seed: 1 });
      assertNotEquals(other.parameters.get("linear.weight"), state.parameters.get("linear.weight"));
    }
  }
  assertEquals(gpu.allocatedBytes, before, "all memory is freed");
});

Deno.test("Model.refit() holds the masks of groups and patterns while it trains", async () => {
  using model = await openTrained();
  const dense = await model.state();
  const { pruner, network: { layout: { prunableCount } } } = getCore(model), half = prunableCount >> 1;
  const removals = {
    pattern: () => pruner.removePattern({ keep: 1, of: 2 }),
    channels: () => model.remove(half, { granularity: "channel" }),
    blocks: () => model.remove(half, { granularity: { rows: 2, channels: 2 } }),
  };
  for (const [name, remove] of Object.entries(removals)) {
    model.restore(dense);
    await model.score(calibration, { by: "magnitude", examples: 1 });
    await model.refit({ calibration, by: "end-to-end", ...training, remove });
    const { parameters, masks } = await model.state();
    const removed = [...masks.values()].reduce(
      (sum, mask) => sum + mask.filter((keep) => keep === 0).length,
      0,
    );
    assert(removed >= 0.4 * prunableCount, `${name}: ${removed} removed`);
    for (const [parameter, mask] of masks) {
      const values = parameters.get(parameter)!;
      assert(values.every((value, i) => mask[i] !== 0 || value === 0), `${name}: ${parameter}`);
    }
  }
});

Deno.test("Model.refit() tells its steps, ends between two of them, and then leaves the model as it was", async () => {
  using model = await openTrained();
  const dense = await model.state(), seen: number[] = [], stop = new AbortController();
  const layers = 6, steps = layers + 3 * training.steps;
  const options = { by: "blocks", ...training } as const;
  await model.refit({
    calibration,
    ...options,
    remove: () => Promise.resolve(),
    onProgress: ({ step, steps: all }) => void seen.push(step, all),
  });
  assertEquals(seen.filter((_, i) => i % 2 === 1).every((all) => all === steps), true);
  const done = seen.filter((_, i) => i % 2 === 0);
  assertEquals(done.slice(0, layers + 1), Array.from({ length: layers + 1 }, (_, i) => i));
  assertEquals([done.at(-1), done.toSorted((a, b) => a - b)], [steps, done]);
  model.restore(dense);
  await model.score(calibration, { by: "magnitude", examples: 1 });
  await assertRejects(
    () =>
      model.refit({
        calibration,
        ...options,
        remove: () => model.remove(100),
        signal: stop.signal,
        onProgress: ({ step }) => step > layers + training.steps && stop.abort(new Error("enough")),
      }),
    Error,
    "enough",
  );
  assertEquals(await model.state(), dense);
});

Deno.test("Model.refit() refuses what is no refit", async () => {
  using model = await openTrained();
  const cases = [
    [{ by: "parts" as "blocks" }, '"by": "parts", expected layers, blocks, end-to-end'],
    [{ steps: 0 }, '"steps": 0, expected a whole number, at least 1'],
    [{ learningRate: 0 }, '"learningRate": 0, expected a finite number, above 0'],
  ] as const;
  for (const [settings, message] of cases) {
    await assertRejects(() => refit(model, settings), ConfigError, message);
  }
});
