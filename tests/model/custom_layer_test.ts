/** Tests of layers that programs define: they train, are pruned by channels, compacted, saved and loaded as the library's. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError, countQuads, type Graph, Model, parseGraph, sgd, ShapeError } from "../../mod.ts";
import { resolveGraph } from "../../src/model/graph.ts";
import { fullMask, layOutParameters } from "../../src/plan/layout.ts";
import { planCompaction } from "../../src/prune/compact/compact.ts";
import { coupleChannels } from "../../src/prune/groups/coupling.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { readPaths } from "../kernels/harness.ts";
import { referencePass } from "../plan/reference_graph.ts";
import { batch, parametersOf, roundingsOf, runStep } from "../plan/step.ts";
import { maskGroups } from "../prune/mask_groups.ts";
import { gatherArenas, logitsOf, openDraw, randomArenas } from "../prune/random_graphs.ts";
import { assertClose, F32_ROUNDOFF, maxAbs, randomTensor } from "../reference/tensor.ts";
import { layers, own, shuffleNet } from "./own_layers.ts";

const input = { channels: 3, height: 9, width: 9 };

for (const path of readPaths) {
  for (const mode of ["train", "score", "evaluate"] as const) {
    // Tolerances as in tests/plan/lower_test.ts.
    Deno.test(`a graph's own layers compute ${mode} on ${path} as their f64 reference`, async () => {
      const graph = shuffleNet(input), parameters = parametersOf(graph);
      const images = randomTensor([batch, input.channels, input.height, input.width], 1);
      const labels = Uint32Array.from({ length: 4 * countQuads(batch) }, (_, i) => i % 4);
      const given = { images, labels: labels.subarray(0, batch), trains: mode === "train", own };
      const want = referencePass(graph, parameters, given);
      const got = await runStep(path, graph, { mode, images, labels, parameters });
      const relative = 2 * F32_ROUNDOFF * roundingsOf(graph);
      const check = (name: string, values: ArrayLike<number>, wanted: ArrayLike<number>) =>
        assertClose(values, wanted, { name, tolerance: relative * Math.max(1e-2, maxAbs(wanted)) });
      check("logits", got.logits, want.logits.values);
      if (mode === "evaluate") return;
      const names = Object.keys(want.gradients);
      assertEquals(names.filter((name) => name.endsWith("slope")).sort(), ["prelu1.slope", "prelu2.slope"]);
      for (const name of names) {
        check(`gradient of ${name}`, got.gradients.get(name)!, want.gradients[name].values);
      }
    });
  }
}

Deno.test("coupleChannels() follows channels through a shuffle, as worked out by hand", () => {
  const graph = parseGraph(
    {
      name: "hand",
      input,
      layers: [
        { kind: "conv2d", name: "a", outChannels: 6, kernel: 1 },
        { kind: "test/shuffle", name: "shuffle", groups: 2 },
        { kind: "test/prelu", name: "each" },
        { kind: "test/prelu", name: "all", shared: true },
        { kind: "globalavgpool2d", name: "pool" },
        { kind: "linear", name: "b", outFeatures: 4 },
      ],
    },
    "hand",
    { layers },
  );
  const { groups, groupOf } = coupleChannels(graph);
  // Channels 0 and 3 lie at the same position of both groups; the shuffle puts them side by side.
  assertEquals(groupOf.slice(0, 3), [[0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2]]);
  const slice = (parameter: string, axis: string) => (index: number) => ({ parameter, axis, index });
  assertEquals(groups[1].producers, [
    ...[1, 4].map(slice("a.weight", "row")),
    ...[1, 4].map(slice("a.bias", "channel")),
    ...[2, 3].map(slice("each.slope", "channel")),
  ]);
  assertEquals(groups[1].consumers, [2, 3].map(slice("b.weight", "channel")));
});

/** A chain that a seed chooses, of the library's layers and those of this file, whose last map is read by a sum. */
function randomChain(seed: number): Graph {
  const draw = openDraw(seed, "own layers"), chain: Record<string, unknown>[] = [];
  let channels = 6 * (1 + draw(2));
  const add = (layer: Record<string, unknown>) => chain.push({ name: `layer${chain.length}`, ...layer });
  const convolve = (outChannels: number, groups = 1) => {
    add({ kind: "conv2d", outChannels, kernel: draw(2) === 0 ? 1 : 3, padding: 1, groups });
    channels = outChannels;
  };
  convolve(channels);
  for (let step = 0; step < 4 + draw(4); step++) {
    const choose = [
      () => convolve(6 * (1 + draw(2))),
      () => convolve(6 * (1 + draw(2)), [2, 3, channels][draw(3)]),
      () => add({ kind: "test/shuffle", groups: [1, 2, 3, 6][draw(4)] }),
      () => add({ kind: "test/prelu", shared: draw(2) === 0 }),
      () => add({ kind: "batchnorm2d" }),
      () => {
        add({ kind: "test/shuffle", groups: 2 });
        const from = chain.at(-1)!.name;
        add({ kind: "test/shuffle", groups: 3 });
        add({ kind: "add", inputs: [chain.at(-1)!.name, from] });
      },
      () => {
        const from = chain.at(-1)!.name;
        add({ kind: "test/prelu" });
        add({ kind: "concat", inputs: [from, chain.at(-1)!.name] });
        channels *= 2;
      },
    ];
    // Depthwise needs as many filters, or twice.
    choose[channels > 24 ? 0 : draw(choose.length)]();
  }
  add({ kind: draw(2) === 0 ? "flatten" : "globalavgpool2d" });
  add({ kind: "linear", outFeatures: 3 });
  const value = { name: `own ${seed}`, input: { channels: 2, height: 5, width: 5 }, layers: chain };
  return parseGraph(value, "random", { layers });
}

Deno.test("planCompaction() keeps the logits of graphs with layers of their own, whatever groups go", () => {
  let smaller = 0, graphs = 0;
  for (let seed = 0; seed < 80; seed++) {
    const graph = randomChain(seed), draw = openDraw(seed, "groups");
    try {
      resolveGraph(graph);
    } catch (error) {
      // Some chains end up with filters that their groups do not divide.
      if (error instanceof ShapeError) continue;
      throw error;
    }
    graphs++;
    const layout = layOutParameters(graph), { groups } = coupleChannels(graph);
    const removed = groups.keys().filter(() => draw(3) === 0).toArray();
    const mask = maskGroups(layout, groups, { removed, mask: fullMask(layout) });
    const arenas = randomArenas(graph, seed);
    const masked = { ...arenas, values: arenas.values.map((value, i) => value * mask[i]) };
    const compaction = planCompaction(graph, { mask });
    const images = randomTensor([2, 2, 5, 5], seed);
    const want = logitsOf(graph, masked, images, own);
    const got = logitsOf(compaction.graph, gatherArenas(compaction, masked), images, own);
    assertClose(got, want, { tolerance: 1e-12 * Math.max(1, maxAbs(want)), name: graph.name });
    if (compaction.removedGroups.size > 0) smaller++;
  }
  assert(graphs > 40 && smaller > 30, `${smaller} of ${graphs} graphs became smaller`);
});

Deno.test("a model with layers of its own trains, loses channels, is compacted, saved and loaded", async () => {
  const gpu = await deviceOf(), files = memoryFiles(), dataset = tinyDataset(), start = gpu.allocatedBytes;
  {
    const graph = shuffleNet({ channels: 1, height: 8, width: 8 });
    using model = new Model(gpu, graph, { task: dataset, seed: 2 });
    const options = { epochs: 4, batch: 16, learningRate: 0.05, optimizer: sgd(), seed: 1 };
    await model.train(dataset.train, options);
    const trained = await model.evaluate(dataset.test);
    assert(trained.accuracy > 0.9, `${trained.accuracy}`);
    const { parameters: state } = await model.state();
    for (const name of ["prelu1.slope", "prelu2.slope"]) {
      assert(state.get(name)!.every((slope) => slope !== 0.25), `${name} is trained`);
    }
    await model.score(dataset.train, { examples: 48, seed: 0, by: "magnitude" });
    await model.remove(500, { granularity: "channel" });
    const pruned = await model.evaluate(dataset.test);
    const report = await model.compact(dataset.test);
    assert(report.after.parameters < report.before.parameters);
    const widths = new Map(resolveGraph(model.graph).map(({ spec, output }) => [spec.name, output.channels]));
    assert(widths.get("conv1")! < 12 || widths.get("conv2")! < 18);
    const compacted = await model.evaluate(dataset.test);
    assertEquals(compacted.accuracy, pruned.accuracy);
    await model.train(dataset.train, { ...options, epochs: 1 });
    await model.save("own.safetensors", files);
    using loaded = await Model.load(gpu, "own.safetensors", files, { layers });
    assertEquals(await loaded.state(), await model.state());
    assertEquals(await loaded.evaluate(dataset.test), await model.evaluate(dataset.test));
    await assertRejects(() => Model.load(gpu, "own.safetensors", files), ConfigError, "layers.1.kind");
  }
  assertEquals(gpu.allocatedBytes, start, "a disposed model leaves nothing");
});
