/** Dropout in whole steps: training draws it by the seed, evaluation and scores leave it out. */
import { assertEquals, assertNotEquals } from "@std/assert";
import type { NamedParameters } from "../../src/gpu/network.ts";
import type { Graph } from "../../src/model/graph.ts";
import type { LayerSpec } from "../../src/model/layers/index.ts";
import { sgd } from "../../src/plan/optimizer.ts";
import { openEvaluator } from "../../src/train/evaluate.ts";
import { train } from "../../src/train/trainer.ts";
import { deviceOf } from "../helpers/devices.ts";
import { openWorkbench, tinyGraph } from "../helpers/tiny_network.ts";

/** The tiny network with a dropout before its first linear layer. */
function withDropout(p: number): Graph {
  const { layers, ...rest } = tinyGraph();
  return {
    ...rest,
    layers: layers.flatMap<LayerSpec>((layer) =>
      layer.kind === "flatten" ? [layer, { kind: "dropout", name: "drop", p }] : [layer]
    ),
  };
}

async function valuesAfter(p: number, seed: number): Promise<NamedParameters> {
  using bench = openWorkbench(await deviceOf(), { graph: withDropout(p) });
  const { choose, slots, network } = bench;
  const settings = { epochs: 1, batch: 16, learningRate: 0.05, optimizer: sgd(), seed, shuffle: false };
  await train(network, bench.train, { ...settings, choose, slots });
  return await network.readParameters();
}

Deno.test("train() drops by its seed, alike on every run", async () => {
  const first = await valuesAfter(0.5, 3);
  assertEquals(await valuesAfter(0.5, 3), first);
  // Neither the order of the examples nor augmentation depends on the seed here.
  assertNotEquals(await valuesAfter(0.5, 4), first);
  assertNotEquals(await valuesAfter(0, 3), first);
  assertEquals(await valuesAfter(0, 4), await valuesAfter(0, 3));
});

Deno.test("openEvaluator() leaves dropout out", async () => {
  const gpu = await deviceOf(), losses: number[] = [];
  for (const graph of [tinyGraph(), withDropout(0.9)]) {
    using bench = openWorkbench(gpu, { graph });
    using evaluator = await openEvaluator(bench.network, bench.test, bench);
    losses.push((await evaluator.evaluate()).loss);
  }
  assertEquals(losses[1], losses[0]);
});
