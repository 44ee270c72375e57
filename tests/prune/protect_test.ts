/** Holds that a protected layer loses nothing: neither filters nor inputs, whatever goes as one, nor by compaction. */
import { assert, assertEquals } from "@std/assert";
import { Network } from "../../src/gpu/network.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { type Graph, parseGraph } from "../../src/model/graph.ts";
import {
  fullMask,
  getLayerName,
  layOutParameters,
  type ParameterLayout,
  takeParameter,
} from "../../src/plan/layout.ts";
import { planCompaction } from "../../src/prune/compact/compact.ts";
import { coupleChannels, isProtected } from "../../src/prune/groups/coupling.ts";
import { prunableTensors } from "../../src/prune/score/criteria.ts";
import { maxRemovable } from "../../src/prune/reach/reach.ts";
import { Pruner } from "../../src/prune/pruner.ts";
import type { RemovalOptions } from "../../src/prune/select/removal.ts";
import { deviceOf } from "../helpers/devices.ts";
import { openWorkbench, tinyGraph } from "../helpers/tiny_network.ts";
import { graphs } from "../plan/graphs.ts";
import { assertClose, maxAbs, randomTensor } from "../reference/tensor.ts";
import { maskGroups } from "./mask_groups.ts";
import { gatherArenas, logitsOf, openDraw, randomArenas, randomGraph, randomMask } from "./random_graphs.ts";

const scoring = { examples: 200, seed: 4, prior: "matched" } as const;
const residual = graphs.find(({ name }) => name.startsWith("residual blocks"))!;

/** A stem, and a depthwise and a pointwise convolution behind it. */
const separable = parseGraph({
  name: "separable",
  input: { channels: 2, height: 6, width: 6 },
  layers: [
    { kind: "conv2d", name: "stem", outChannels: 8, kernel: 3, padding: 1 },
    { kind: "relu", name: "relu1" },
    { kind: "conv2d", name: "depthwise", outChannels: 8, kernel: 3, padding: 1, groups: 8 },
    { kind: "relu", name: "relu2" },
    { kind: "conv2d", name: "pointwise", outChannels: 9, kernel: 1 },
    { kind: "relu", name: "relu3" },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 3 },
  ],
}, "a test");

const weightsOf = (graph: Graph) => prunableTensors(layOutParameters(graph)).map(getLayerName);

/** True where a mask keeps every trained number of a layer. */
function isWhole({ parameters }: ParameterLayout, mask: Float32Array, name: string): boolean {
  return parameters.filter((parameter) => parameter.arena === "values" && getLayerName(parameter) === name)
    .every((parameter) => takeParameter(parameter, mask).every((keep) => keep === 1));
}

/** The sizes of a layer's weight. */
const shapeOf = (graph: Graph, name: string) =>
  layOutParameters(graph).parameters.find(({ fullName }) => fullName === `${name}.weight`)?.shape;

Deno.test("isProtected() is true of channels that a protected layer makes, filters one by one, or reads", () => {
  const { groups, groupOf } = coupleChannels(separable);
  const groupsOf = (name: string) => new Set(groupOf[separable.layers.findIndex((one) => one.name === name)]);
  const protectedBy = (name: string) =>
    new Set(groups.keys().filter((group) => isProtected(groups[group], [name])));
  assertEquals(protectedBy("stem"), groupsOf("stem"));
  assertEquals(protectedBy("depthwise"), groupsOf("stem"));
  assertEquals(protectedBy("pointwise"), groupsOf("stem").union(groupsOf("pointwise")));
  assertEquals(protectedBy("fc"), groupsOf("pointwise"));
  assert(groups.every((group) => !isProtected(group, [])));
});

Deno.test("Pruner.remove() takes all that may go and nothing of a protected layer, whatever goes as one", async () => {
  const channel = { granularity: "channel" } as const;
  const kinds: readonly RemovalOptions[] = [
    {},
    { scope: "layer" },
    { granularity: "filter" },
    { granularity: { rows: 2, channels: 3 }, scope: "layer" },
    channel,
    { ...channel, scope: "layer", floor: 0.3 },
    { ...channel, roundTo: 2 },
    { ...channel, perCost: true, measure: "multiply-adds" },
  ];
  let removed = 0, bounded = 0;
  for (const graph of [tinyGraph(), separable, residual, randomGraph(4), randomGraph(9)]) {
    const names = weightsOf(graph);
    for (const [i, options] of kinds.entries()) {
      const protect = [names[i % names.length], names[(3 * i + 1) % names.length]];
      using network = new Network(await deviceOf(), graph, 5);
      using pruner = new Pruner(network);
      network.copyArena("values", "mean");
      await pruner.score("magnitude", scoring);
      const all = 1e9,
        most = await pruner.remove(all, { ...options, protect }).then(() => all, (error) => {
          return Number(/only (\d+) may be removed/.exec(error.message)![1]);
        });
      await pruner.remove(most, { ...options, protect });
      const mask = await readFloats(network.gpu, network.arena("mask"));
      const name = `${graph.name} ${JSON.stringify({ ...options, protect })}`;
      assert(protect.every((layer) => isWhole(network.layout, mask, layer)), name);
      const gone = mask.subarray(0, 4 * network.layout.windows[0].weightQuads).filter((keep, at) =>
        keep === 0 && fullMask(network.layout)[at] === 1
      ).length;
      removed += gone;
      if (!options.measure) {
        bounded++;
        const said = maxRemovable(network, { criterion: "magnitude", options: { ...options, protect } });
        assert(
          gone <= said.reduce((sum, count) =>
            sum + count, 0),
          `${name}: more than was said to be possible`,
        );
      }
      const smaller = planCompaction(graph, { mask }, { protect }).graph;
      for (const layer of protect) {
        assertEquals(shapeOf(smaller, layer), shapeOf(graph, layer), name);
      }
    }
  }
  assert(removed > 1000, `${removed}`);
  assertEquals(bounded, 5 * kinds.filter(({ measure }) => measure === undefined).length);
});

Deno.test("Pruner.remove() leaves the filters of the network's outputs, the classes, whatever takes whole filters", async () => {
  const layers: unknown[] = [
    { kind: "conv2d", name: "stem", outChannels: 6, kernel: 3 },
    { kind: "relu", name: "relu1" },
    { kind: "conv2d", name: "classes", outChannels: 5, kernel: 1 },
    { kind: "batchnorm2d", name: "bn" },
    { kind: "conv2d", name: "scale", outChannels: 5, kernel: 1, groups: 5 },
    { kind: "globalavgpool2d", name: "pool" },
    { kind: "flatten", name: "flatten" },
  ];
  const input = { channels: 2, height: 6, width: 6 };
  const convolutional = parseGraph({ name: "convolutional", input, layers }, "a test");
  assertEquals(coupleChannels(convolutional).outputLayers, ["classes", "scale"]);
  assertEquals(coupleChannels(separable).outputLayers, ["fc"]);
  assertEquals(coupleChannels(residual).outputLayers.length, 1);
  for (const graph of [tinyGraph(), separable, convolutional]) {
    const { outputLayers } = coupleChannels(graph);
    const granularities = ["filter", "channel", { rows: 1, channels: 1e4 }, {
      rows: 3,
      channels: 36,
    }] as const;
    for (const granularity of granularities) {
      using network = new Network(await deviceOf(), graph, 5);
      using pruner = new Pruner(network);
      // The last layer would go first.
      const values = randomArenas(graph, 2).values;
      for (const parameter of network.layout.parameters) {
        if (!outputLayers.includes(getLayerName(parameter)) || parameter.arena !== "values") continue;
        const { offset, quads } = parameter;
        for (let i = 4 * offset; i < 4 * (offset + quads); i++) values[i] *= 1e-6;
      }
      network.arena("values").write(values);
      network.copyArena("values", "mean");
      await pruner.score("magnitude", scoring);
      const most = maxRemovable(network, { criterion: "magnitude", options: { granularity } })
        .reduce((sum, count) => sum + count, 0);
      await pruner.remove(Math.floor(most / 2), { granularity });
      const name = `${graph.name} ${JSON.stringify(granularity)}`;
      const kept = await pruner.count();
      for (const layer of outputLayers) {
        const { emptyChannels } = kept.find((count) => count.name === `${layer}.weight`)!;
        assertEquals(emptyChannels, 0, `${name} ${layer}`);
      }
      assert(kept.some(({ weights, kept }) => kept < weights), name);
    }
  }
});

Deno.test("Pruner.removePattern(), thresholds and regrowth leave a protected layer as it is", async () => {
  const graph = { ...separable, input: tinyGraph().input };
  using bench = openWorkbench(await deviceOf(), { graph, seed: 5 });
  const { network } = bench;
  using pruner = new Pruner(network);
  const protect = ["pointwise"], tensors = prunableTensors(network.layout);
  network.copyArena("values", "mean");
  await pruner.accumulate(bench.train, bench);
  network.arena("fisher").write(network.layout.quads > 0 ? fullMask(network.layout) : new Float32Array());
  network.arena("gradient_mean").write(fullMask(network.layout));
  await pruner.score("confidence", scoring);
  const isLeft = async () =>
    isWhole(network.layout, await readFloats(network.gpu, network.arena("mask")), protect[0]);
  for (const options of [{ protect }, { granularity: "channel", protect } as const]) {
    const most = maxRemovable(network, { criterion: "confidence", options });
    assertEquals(await pruner.countBelow(1e9, options), most.reduce((sum, count) => sum + count, 0));
  }
  await pruner.removePattern({ keep: 1, of: 4 }, { protect });
  assert(await isLeft());
  await pruner.remove(tensors.reduce((sum, { count }) => sum + count, 0) - tensors[2].count, { protect });
  assert(await isLeft());
  assertEquals((await pruner.count()).map(({ kept }) => kept > 0), [false, false, true, false]);
  await pruner.regrow(1, { protect: ["stem"] });
  assertEquals((await pruner.count()).map(({ kept }) => kept > 0), [false, true, true, true]);
});

Deno.test("planCompaction() leaves protected layers as wide as they were, and the logits stay", () => {
  let shrunk = 0, spared = 0;
  for (let seed = 0; seed < 30; seed++) {
    const graph = seed === 0 ? residual : randomGraph(seed), draw = openDraw(seed);
    const layout = layOutParameters(graph), { groups } = coupleChannels(graph), names = weightsOf(graph);
    const removed = groups.keys().filter(() => draw(2) === 0);
    const mask = maskGroups(layout, groups, { removed, mask: randomMask(graph, draw, 3) });
    const protect = [names[draw(names.length)]];
    const compaction = planCompaction(graph, { mask }, { protect });
    assertEquals(
      shapeOf(compaction.graph, protect[0]),
      shapeOf(graph, protect[0]),
      `${graph.name} ${protect}`,
    );
    const free = planCompaction(graph, { mask }).graph;
    if (compaction.graph.layers.length < graph.layers.length || compaction.removedGroups.size > 0) shrunk++;
    if (shapeOf(free, protect[0])?.join() !== shapeOf(graph, protect[0])?.join()) spared++;
    const arenas = randomArenas(graph, 3), { channels, height, width } = graph.input;
    const masked = { ...arenas, values: arenas.values.map((value, i) => value * mask[i]) };
    const images = randomTensor([2, channels, height, width], 4), want = logitsOf(graph, masked, images);
    const got = logitsOf(compaction.graph, gatherArenas(compaction, masked), images);
    assertClose(got, want, { tolerance: 1e-12 * Math.max(1, maxAbs(want)), name: graph.name });
  }
  assert(shrunk > 10 && spared > 10, `${shrunk} shrunk, ${spared} spared`);
});

Deno.test("planCompaction() keeps a branch of zeros that holds a protected layer, and drops others", () => {
  const layout = layOutParameters(residual), mask = fullMask(layout);
  for (const parameter of layout.parameters) {
    if (parameter.arena !== "values" || !/^block[12]\.(conv|bn)/.test(parameter.fullName)) continue;
    mask.fill(0, 4 * parameter.offset, 4 * (parameter.offset + parameter.quads));
  }
  assert(planCompaction(residual, { mask }).removedLayers.includes("block1.conv1"));
  const { graph, removedLayers } = planCompaction(residual, { mask }, { protect: ["block1.conv1"] });
  assertEquals(shapeOf(graph, "block1.conv1"), shapeOf(residual, "block1.conv1"));
  assert(graph.layers.some(({ name }) => name === "block1.add"));
  assert(removedLayers.includes("block2.conv1") && !removedLayers.includes("block1.conv2"));
});
