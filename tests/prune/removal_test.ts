/** Holds what is removed, by any granularity, scope and floor, against a walk over sorted scores on the host. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../src/errors.ts";
import { Network } from "../../src/gpu/network.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { takeParameter } from "../../src/plan/layout.ts";
import { layOutBlocks } from "../../src/prune/groups/blocks.ts";
import { prunableTensors, scoredTensors } from "../../src/prune/score/criteria.ts";
import { Pruner } from "../../src/prune/pruner.ts";
import { apportion, type RemovalOptions } from "../../src/prune/select/removal.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { openWorkbench } from "../helpers/tiny_network.ts";
import { randomArenas, randomGraph } from "./random_graphs.ts";
import { type HostGroup, layerName, placesOf, scoring, walkHost } from "./removal_cases.ts";

Deno.test("Pruner.remove() keeps floors and protected layers, and exactly so many still go", async () => {
  using bench = openWorkbench(await deviceOf(), { seed: 3 });
  const { network } = bench, { layout, gpu } = network, tensors = prunableTensors(layout);
  using pruner = new Pruner(network);
  network.copyArena("values", "mean");
  await pruner.score("magnitude", scoring);
  const scores = await readFloats(gpu, network.arena("scores"));
  const groups = tensors.flatMap((tensor, layer) =>
    placesOf(tensor).map(({ place }): HostGroup => ({ layer, places: [place] }))
  ).sort((a, b) => a.places[0] - b.places[0]);
  const ranks = groups.map(({ places: [place] }) => scores[place]);
  const check = async (target: number, options: RemovalOptions) => {
    const { floor = 0, protect = [] } = options, mask = await readFloats(gpu, network.arena("mask"));
    const least = tensors.map((tensor) =>
      protect.includes(layerName(tensor))
        ? tensor.count
        : Math.max(floor > 0 ? 1 : 0, Math.ceil(floor * tensor.count))
    );
    const want = walkHost(groups, { mask, ranks, target, least });
    const layers = await pruner.remove(target, options);
    assertEquals(layers.reduce((sum, { weights, kept }) => sum + weights - kept, 0), target);
    assertEquals(
      (await readFloats(gpu, network.arena("mask"))).slice(0, 4 * layout.windows[0].weightQuads),
      want.slice(0, 4 * layout.windows[0].weightQuads),
    );
  };
  const all = layout.prunableCount;
  await check(Math.floor(0.5 * all), { floor: 0.4, protect: ["fc2"] });
  await check(Math.floor(0.7 * all), { floor: 0.1, protect: ["conv1"] });
  await check(Math.floor(0.93 * all), { floor: 0.02 });
  await check(Math.floor(0.96 * all), { floor: 0.02 });
  await assertRejects(
    () => pruner.remove(all, { floor: 0.02 }),
    ConfigError,
    "may be removed by single weights",
  );
  await pruner.remove(all);
  await assertRejects(() => pruner.remove(all, { floor: 2 }), ConfigError, "a fraction from 0 to 1");
  await assertRejects(
    () => pruner.remove(all, { protect: ["conv3"] }),
    ConfigError,
    "the nearest known name",
  );
});

Deno.test("Pruner.remove() takes the same share of every layer in scope layer", async () => {
  using bench = openWorkbench(await deviceOf(), { seed: 3 });
  const { network } = bench, { layout } = network;
  using pruner = new Pruner(network);
  network.copyArena("values", "mean");
  await pruner.score("magnitude", scoring);
  for (const share of [0.25, 0.5, 0.875]) {
    const target = Math.floor(share * layout.prunableCount);
    const layers = await pruner.remove(target, { scope: "layer" });
    assertEquals(layers.reduce((sum, { weights, kept }) => sum + weights - kept, 0), target);
    for (const { weights, kept } of layers) assert(Math.abs(weights - kept - share * weights) <= 1);
    const scores = await network.readParameters("scores"), masks = await network.readParameters("mask");
    for (const { name } of layers) {
      const own = scores.get(name)!, keep = masks.get(name)!;
      const of = (kept: number) => own.filter((_, i) => keep[i] === kept);
      assert(Math.max(...of(0)) <= Math.min(...of(1)), name);
    }
  }
});

Deno.test("apportion() shares exactly, within bounds, by the largest remainders", () => {
  const bound = (weights: number, removed = 0, max = weights) => ({ weights, removed, max });
  assertEquals(apportion(5, [bound(10), bound(10), bound(10)]), [2, 2, 1]);
  assertEquals(apportion(15, [bound(10), bound(20)]), [5, 10]);
  assertEquals(apportion(15, [bound(10, 0, 2), bound(20)]), [2, 13]);
  assertEquals(apportion(15, [bound(10, 9), bound(20)]), [9, 6]);
  assertEquals(apportion(22, [bound(10, 0, 2), bound(20)]), [2, 20]);
  assertEquals(apportion(0, [bound(3)]), [0]);
  for (let target = 0; target <= 37; target++) {
    const counts = apportion(target, [bound(7), bound(1), bound(29)]);
    assertEquals(counts.reduce((sum, count) => sum + count), target);
  }
});

for (const granularity of ["filter", { rows: 2, channels: 2 }, { rows: 1, channels: 4 }] as const) {
  for (const criterion of ["magnitude", "magnitude-l1", "l1"] as const) {
    // Blocks of two filters have no score of one filter.
    if (criterion === "l1" && typeof granularity === "object" && granularity.rows > 1) continue;
    Deno.test(`Pruner.remove() removes ${JSON.stringify(granularity)} by ${criterion}, fewest that do`, async () => {
      using bench = openWorkbench(await deviceOf(), { seed: 6 });
      const { network } = bench, { layout, gpu } = network, tensors = prunableTensors(layout);
      using pruner = new Pruner(network);
      network.copyArena("values", "mean");
      await pruner.score(criterion, scoring);
      const scores = await readFloats(gpu, network.arena("scores"));
      const groups: HostGroup[] = [];
      for (
        const [layer, { tensor, size, shape, firstBlock }] of layOutBlocks(tensors, granularity).entries()
      ) {
        // The filters of the last layer are the network's outputs.
        if (granularity === "filter" && layer === tensors.length - 1) continue;
        const across = Math.ceil(size.columns / shape.columns), deep = Math.ceil(size.taps / shape.taps);
        // PyTorch counts the features of a linear layer behind a flatten by channels, then taps.
        const isFolded = granularity !== "filter" && tensor.shape.length === 2;
        for (const { row, tap, channel, place } of placesOf(tensor)) {
          const column = isFolded ? channel * tensor.taps + tap : channel;
          const line = Math.floor(row / shape.rows) * deep + (isFolded ? 0 : Math.floor(tap / shape.taps));
          const block = firstBlock + line * across + Math.floor(column / shape.columns);
          groups[block] = { layer, places: [...groups[block]?.places ?? [], place] };
        }
      }
      for (const [share, floor] of [[0.3, 0], [0.6, 0.5], [0.8, 0.02]]) {
        const mask = await readFloats(gpu, network.arena("mask"));
        const ranks = groups.map(({ places }) => {
          const kept = places.filter((place) => mask[place] > 0).map((place) => scores[place]);
          const squares = kept.reduce((sum, score) => sum + score ** 2, 0);
          if (criterion === "magnitude") return squares;
          return criterion === "l1" ? Math.fround(kept[0]) : kept.reduce((sum, score) => sum + score, 0);
        });
        const least = tensors.map((_, layer) => {
          const count = groups.filter((group) => group.layer === layer).length;
          return Math.max(1, Math.ceil(floor * count));
        });
        const target = Math.floor(share * layout.prunableCount);
        const want = walkHost(groups, { mask, ranks, target, least });
        const removedWant = tensors.flatMap(placesOf).filter(({ place }) => want[place] === 0).length;
        if (removedWant < target) {
          await assertRejects(
            () => pruner.remove(target, { granularity, floor }),
            ConfigError,
            "may be removed",
          );
          continue;
        }
        await pruner.remove(target, { granularity, floor });
        const got = await readFloats(gpu, network.arena("mask"));
        assertEquals(
          got.slice(0, 4 * layout.windows[0].weightQuads),
          want.slice(0, 4 * layout.windows[0].weightQuads),
        );
      }
    });
  }
}

Deno.test("Pruner.removePattern() leaves N of every M columns", async () => {
  using bench = openWorkbench(await deviceOf(), { seed: 6 });
  const { network } = bench, tensors = prunableTensors(network.layout);
  using pruner = new Pruner(network);
  network.copyArena("values", "mean");
  await pruner.score("magnitude", scoring);
  const layers = await pruner.removePattern({ keep: 2, of: 4 }, { protect: ["conv2"] });
  for (const [i, { rows, taps, channels, shape, fullName }] of tensors.entries()) {
    const folded = shape.length === 2 ? taps : 1, columns = channels * folded;
    const perLine = 2 * Math.floor(columns / 4) + Math.ceil(2 * (columns % 4) / 4);
    const kept = rows * taps / folded * perLine;
    assertEquals(layers[i].kept, fullName === "conv2.weight" ? layers[i].weights : kept, fullName);
  }
  for (const pattern of [{ keep: 0, of: 4 }, { keep: 5, of: 4 }, { keep: 1, of: 33 }, { keep: 1.5, of: 4 }]) {
    await assertRejects(() => pruner.removePattern(pattern), ConfigError, "1 <= N <= M <= 32");
  }
});

Deno.test("Pruner.regrow() brings back removed weights by the gradient that they would have", async () => {
  const dataset = tinyDataset({ train: 64, test: 8 });
  using bench = openWorkbench(await deviceOf(), { seed: 6, dataset });
  const { network } = bench, { layout } = network, examples = 64, threshold = 1;
  using pruner = new Pruner(network);
  network.copyArena("values", "mean");
  await pruner.score("magnitude", scoring);
  await pruner.remove(Math.floor(layout.prunableCount / 2));
  await pruner.accumulate(bench.train, bench);
  const gradient = await readFloats(network.gpu, network.arena("gradient_mean"));
  const fisher = await readFloats(network.gpu, network.arena("fisher"));
  const before = await readFloats(network.gpu, network.arena("mask"));
  const protect = ["fc2"];
  const want = prunableTensors(layout).filter((tensor) => !protect.includes(layerName(tensor))).flatMap(
    placesOf,
  )
    .filter(({ place }) =>
      before[place] === 0 &&
      Math.fround(Math.fround(examples * gradient[place]) * gradient[place]) > threshold * fisher[place]
    ).map(({ place }) => place);
  assert(want.length > 5, `${want.length}`);
  assertEquals(await pruner.regrow(threshold, { protect }), want.length);
  const after = await readFloats(network.gpu, network.arena("mask"));
  for (const place of want) before[place] = 1;
  assertEquals(after, before);
  const values = await readFloats(network.gpu, network.arena("values"));
  assert(want.every((place) => values[place] === 0));
  assertEquals(takeParameter(prunableTensors(layout)[0], after).length, prunableTensors(layout)[0].count);
  assertEquals(await pruner.regrow(1e6), 0);
  // Removed again they stay out, until it is said that they may come back.
  network.arena("mask").write(before.map((keep, place) => want.includes(place) ? 0 : keep));
  assertEquals(await pruner.regrow(threshold, { protect }), 0);
  pruner.forgetRounds();
  assertEquals(await pruner.regrow(threshold, { protect }), want.length);
});

Deno.test("Pruner.spareFallen() leaves a weight below a threshold until it lies there at two scorings in a row", async () => {
  using bench = openWorkbench(await deviceOf(), { seed: 6, dataset: tinyDataset({ train: 64, test: 8 }) });
  const { network } = bench, threshold = 1;
  using pruner = new Pruner(network);
  await assertRejects(() => pruner.spareFallen(threshold), ConfigError, "score");
  const places = prunableTensors(network.layout).flatMap(placesOf).map(({ place }) => place);
  const countAt = async (magnitude: (i: number) => number) => {
    const mean = new Float32Array(4 * network.layout.quads);
    for (const [i, place] of places.entries()) mean[place] = magnitude(i);
    network.arena("mean").write(mean);
    await pruner.score("magnitude", scoring);
    await pruner.spareFallen(threshold);
    return await pruner.countBelow(threshold);
  };
  // The first ten are below at once; the next ten fall after the first scoring, five of which rise again.
  assertEquals(await countAt((i) => i < 10 ? 0.5 : 2), 10);
  assertEquals(await countAt((i) => i < 20 ? 0.5 : 2), 10);
  assertEquals(await countAt((i) => i < 15 ? 0.5 : 2), 15);
  assertEquals(await countAt((i) => i < 20 ? 0.5 : 2), 15);
  pruner.forgetRounds();
  assertEquals(await countAt((i) => i < 20 ? 0.5 : 2), 20);
});

Deno.test("Pruner.remove() by batch norm's scale spares layers without one, by any granularity", async () => {
  const gpu = await deviceOf(), graph = randomGraph(2);
  const norms = graph.layers.filter(({ kind }) => kind === "batchnorm2d");
  assert(norms.length > 0);
  using network = new Network(gpu, graph, 0);
  using pruner = new Pruner(network);
  network.arena("values").write(randomArenas(graph, 2).values);
  network.copyArena("values", "mean");
  await pruner.score("magnitude", scoring);
  await pruner.score("bn-scale", scoring);
  const scored = scoredTensors(network, "bn-scale").map(({ fullName }) => fullName);
  const count = prunableTensors(network.layout).filter(({ fullName }) => scored.includes(fullName))
    .reduce((sum, tensor) => sum + tensor.count, 0);
  assert(scored.length < prunableTensors(network.layout).length);
  const layers = await pruner.remove(count);
  for (const { name, kept } of layers) assertEquals(kept === 0, scored.includes(name), name);
  await assertRejects(() => pruner.remove(count + 1), ConfigError, `only ${count} may be removed`);
  await assertRejects(
    () => pruner.remove(count + 1, { granularity: "filter" }),
    ConfigError,
    `only ${count} may be removed by filters`,
  );
});
