/** Holds what is said to be removable at most against what removals come to. */
import { assert, assertEquals } from "@std/assert";
import { ConfigError } from "../../src/errors.ts";
import { Network } from "../../src/gpu/network.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import type { Graph } from "../../src/model/graph.ts";
import { presetNetwork } from "../../src/model/presets.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import type { Criterion } from "../../src/prune/score/criteria.ts";
import { computeCompactCost } from "../../src/prune/cost.ts";
import { Pruner } from "../../src/prune/pruner.ts";
import { maxRemovable, minChannelCost } from "../../src/prune/reach/reach.ts";
import type { RemovalOptions } from "../../src/prune/select/removal.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { graphs } from "../plan/graphs.ts";
import { randomArenas, randomGraph } from "./random_graphs.ts";

const scoring = { examples: 200, seed: 4, prior: "matched" } as const;
const sumOf = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);

/** What is said to go at most. */
function saidOf(graph: Graph, options: RemovalOptions, criterion: Criterion = "magnitude"): number {
  return sumOf(maxRemovable({ graph, layout: layOutParameters(graph) }, { criterion, options }));
}

/** What goes at most in the order of random scores, on a device. */
async function maxOf(graph: Graph, options: RemovalOptions, criterion: Criterion = "magnitude") {
  using network = new Network(await deviceOf(), graph, 0);
  using pruner = new Pruner(network);
  network.arena("values").write(randomArenas(graph, 2).values);
  network.copyArena("values", "mean");
  await pruner.score(criterion, scoring);
  const { prunableCount } = network.layout;
  try {
    await pruner.remove(prunableCount, options);
    return prunableCount;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return Number(/only (\d+) may be removed/.exec(error.message)![1]);
  }
}

const residual = graphs.find(({ name }) => name.startsWith("residual blocks"))!;
const resnet = presetNetwork("resnet20", { channels: 3, height: 4, width: 4, classes: 10 });

Deno.test("maxRemovable() is what goes of single weights, filters, whole blocks, and channels of a chain", async () => {
  const graph = tinyGraph(), protect = ["conv2"];
  const cases: readonly RemovalOptions[] = [
    {},
    { floor: 0.3 },
    { protect },
    { floor: 0.25, protect },
    { granularity: "filter" },
    { granularity: "filter", floor: 0.5, protect },
    { granularity: { rows: 1, channels: 7 } },
    { granularity: "channel" },
    { granularity: "channel", floor: 0.5 },
    { granularity: "channel", roundTo: 2 },
    { granularity: "channel", floor: 0.3, protect },
    { granularity: "channel", protect: ["conv1", "conv2", "fc1"] },
  ];
  for (const options of cases) {
    assertEquals(saidOf(graph, options), await maxOf(graph, options), JSON.stringify(options));
  }
});

Deno.test("maxRemovable() is what goes of channels where layers are added, blocks that go as a whole among them", async () => {
  for (const graph of [residual, resnet]) {
    for (const options of [{}, { protect: [graph.layers[0].name] }] satisfies RemovalOptions[]) {
      const channels = { ...options, granularity: "channel" } as const;
      assertEquals(saidOf(graph, channels), await maxOf(graph, channels), graph.name);
    }
  }
  const norms = { granularity: "channel" } as const;
  assertEquals(saidOf(resnet, norms, "bn-scale"), await maxOf(resnet, norms, "bn-scale"));
  // By a floor, which channels of those that only some layers share go is a matter of scores; equal shares reach it.
  const halves = { ...norms, floor: 0.5 } as const, said = saidOf(resnet, halves);
  assertEquals(await maxOf(resnet, { ...halves, scope: "layer" }), said);
  assert(await maxOf(resnet, halves) < said);
});

Deno.test("maxRemovable() is never less than what goes", async () => {
  let exact = 0;
  const blocks = { rows: 2, channels: 3 };
  for (let seed = 0; seed < 12; seed++) {
    const graph = randomGraph(seed), names = graph.layers.filter(({ kind }) => kind === "conv2d");
    const cases: readonly RemovalOptions[] = [
      { granularity: "channel" },
      { granularity: "channel", floor: 0.4 },
      { granularity: "channel", roundTo: 2 },
      { granularity: "channel", protect: [names[seed % names.length].name] },
      { granularity: blocks, floor: 0.3 },
    ];
    for (const options of cases) {
      const said = saidOf(graph, options), most = await maxOf(graph, options);
      assert(most <= said, `${graph.name} ${JSON.stringify(options)}: ${most} of ${said}`);
      if (most === said) exact++;
    }
  }
  assert(exact > 40, `${exact} of 60`);
});

Deno.test("minChannelCost() is never more than what the compacted network costs when all went that may", async () => {
  let exact = 0, compared = 0, equal = 0;
  for (
    const graph of [
      tinyGraph(),
      residual,
      resnet,
      ...Array.from({ length: 12 }, (_, i) => randomGraph(i)),
    ]
  ) {
    for (const floor of [0, 0.4]) {
      using network = new Network(await deviceOf(), graph, 0);
      using pruner = new Pruner(network);
      network.copyArena("values", "mean");
      await pruner.score("random", scoring);
      const options = { granularity: "channel", floor } as const;
      const least = minChannelCost(network, { criterion: "random", options });
      if (!least) continue;
      await pruner.remove(await maxOf(graph, options, "random"), options);
      const cost = computeCompactCost(graph, await readFloats(network.gpu, network.arena("mask")));
      for (const kind of ["parameters", "multiplyAdds", "bytes"] as const) {
        assert(least[kind] <= cost[kind], `${graph.name} ${kind} ${floor}: ${least[kind]} of ${cost[kind]}`);
      }
      compared++;
      if (least.parameters === cost.parameters) exact++;
      if (graph.name === "seed" || floor === 0 && [residual, resnet].includes(graph)) {
        equal++;
        assertEquals(least, cost);
      }
    }
  }
  assert(exact > compared / 2 && compared > 20, `${exact} of ${compared}`);
  assertEquals(equal, 4);
});

Deno.test("maxRemovable() counts what is removed already, where it would have had to stay too", () => {
  const graph = tinyGraph(), model = { graph, layout: layOutParameters(graph) };
  // conv1 has 36 weights, fc2 28.
  const removed = new Map([["conv1.weight", 30], ["fc2.weight", 20]]);
  const options = { floor: 0.5, protect: ["fc2"] }, criterion = "magnitude";
  const [conv1, conv2, fc1, fc2] = maxRemovable(model, { criterion, options, removed });
  assertEquals([conv1, conv2, fc1, fc2], [30, 90, 70, 20]);
  const filters = { ...options, granularity: "filter" } as const;
  // Two of conv1's four filters stay, 18 weights, all of which may be gone.
  assertEquals(maxRemovable(model, { criterion, options: filters, removed })[0], 36);
});
