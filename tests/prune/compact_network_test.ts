import { assert, assertEquals, assertRejects } from "@std/assert";
import { Model } from "../../src/api/model.ts";
import { getCore } from "../../src/api/model_core.ts";
import { NumericError, ShapeError } from "../../src/errors.ts";
import { FeatureExamples } from "../../src/gpu/examples.ts";
import { Network } from "../../src/gpu/network.ts";
import type { ArenaRole } from "../../src/kernels/buffer_ref.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { SlotPool } from "../../src/gpu/slots.ts";
import { imagesToQuads } from "../../src/io/quads.ts";
import { summarizeModel } from "../../src/model/summary.ts";
import { planCompaction } from "../../src/prune/compact/compact.ts";
import { fullMask } from "../../src/plan/layout.ts";
import { compactNetwork } from "../../src/prune/compact/compact_network.ts";
import { coupleChannels } from "../../src/prune/groups/coupling.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { randomTensor } from "../reference/tensor.ts";
import { maskGroups } from "./mask_groups.ts";
import { gatherArena, openDraw, randomArenas, randomGraph } from "./random_graphs.ts";

/** Examples of a random graph's images. */
function examplesOf(count: number): FeatureExamples {
  const images = randomTensor([count, 2, 6, 6], 5);
  return new FeatureExamples(imagesToQuads(images.values, images.shape), new Uint32Array(count), count);
}

const moved = [
  "values",
  "mask",
  "velocity",
  "second_moment",
  "mean",
  "variance",
  "fisher",
  "gradient_mean",
  "statistics",
] as const;

Deno.test("compactNetwork() gathers every arena and keeps the logits of random graphs", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  let folded = 0;
  for (let seed = 0; seed < 10; seed++) {
    const graph = randomGraph(seed), coupling = coupleChannels(graph), draw = openDraw(seed, "groups");
    using network = new Network(gpu, graph, 0);
    using slots = new SlotPool(gpu);
    for (const [i, role] of moved.entries()) {
      const { values, statistics } = randomArenas(graph, i + 1);
      if (role !== "mask" && network.arena(role).sizeBytes > 0) {
        const content = role === "statistics" ? statistics : values;
        if (content.length > 0) network.arena(role).write(content);
      }
    }
    const removed = coupling.groups.keys().filter(() => draw(3) === 0), { layout } = network;
    const mask = maskGroups(layout, coupling.groups, { removed, mask: fullMask(layout) });
    // Of what stays some rows are empty, so that their channels are constant.
    for (const { prunable, offset, rows, rowQuads } of layout.parameters) {
      if (!prunable) continue;
      for (let row = 0; row < rows; row++) {
        const first = 4 * (offset + row * rowQuads);
        if (draw(3) === 0) mask.fill(0, first, first + 4 * rowQuads);
      }
    }
    network.arena("mask").write(mask);
    const read = async (of: Network, role: ArenaRole) => await readFloats(gpu, of.arena(role));
    const hasStatistics = layout.statisticsQuads > 0;
    const { sources, removedLayers, folds } = planCompaction(graph, {
      mask,
      values: await read(network, "values"),
      ...(hasStatistics ? { statistics: await read(network, "statistics") } : {}),
    });
    folded += folds.length;
    const { network: smaller, report } = await compactNetwork(network, examplesOf(3), {
      choose: gpu.choose,
      slots,
    });
    using _ = smaller;
    for (const role of moved) {
      const list = role === "statistics" ? sources.statistics : sources.values;
      const want = gatherArena(list, await read(network, role));
      if (["values", "mean", "statistics"].includes(role)) {
        const own = folds.filter(({ arena }) => (arena === "statistics") === (role === "statistics"));
        for (const { offset: place, add } of own) want[place] += add;
      }
      assertEquals((await read(smaller, role)).slice(0, list.length), want, `${graph.name}, ${role}`);
    }
    const { parameters, multiplyAdds } = summarizeModel(smaller.graph);
    assertEquals([report.after.parameters, report.after.multiplyAdds], [parameters, multiplyAdds]);
    assertEquals(report.before.parameters, network.layout.count);
    assertEquals(report.removedLayers, removedLayers);
    assert(report.largestDifference < 1e-4);
    assert(report.after.sizeBytes <= report.before.sizeBytes);
    for (const { before, after } of report.channels) assert(after < before);
  }
  assert(folded > 0, "nothing was taken over");
  assertEquals(gpu.allocatedBytes, start);
});

Deno.test("compactNetwork() leaves the network and no memory where numbers are not finite, or there are no examples", async () => {
  const gpu = await deviceOf(), graph = randomGraph(1);
  using network = new Network(gpu, graph, 0);
  using slots = new SlotPool(gpu);
  const { values } = randomArenas(graph, 1);
  network.arena("values").write(values.map((value) => value === 0 ? 0 : Math.sign(value) * 3e38));
  const tools = { choose: gpu.choose, slots };
  const run = (count: number) => compactNetwork(network, examplesOf(count), tools);
  await assertRejects(
    () => run(2),
    NumericError,
    'Cannot compact model "random 1": a logit of ',
  );
  network.arena("values").write(values.map((value) => value === 0 ? 0 : Infinity));
  const { fullName, shape } = network.layout.parameters[0], first = shape.map(() => 0).join(", ");
  await assertRejects(() => run(2), NumericError, `"random 1": ${fullName}[${first}] is Infinity, expected`);
  const start = gpu.allocatedBytes;
  await assertRejects(() => run(2), NumericError);
  assertEquals(gpu.allocatedBytes, start);
  const none = new FeatureExamples(new Float32Array(0), new Uint32Array(0), 1);
  await assertRejects(
    () => compactNetwork(network, none, tools),
    ShapeError,
    "no examples to compare logits on",
  );
});

Deno.test("Model.compact() shrinks a trained model in place, which trains, saves and evaluates on", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes, dataset = tinyDataset(), files = memoryFiles();
  const training = { epochs: 1, batch: 16, learningRate: 0.05, seed: 1 };
  {
    using model = new Model(gpu, tinyGraph(), { task: dataset, seed: 5 });
    await model.train(dataset.train, training);
    const coupling = coupleChannels(model.graph);
    const removed = new Set(coupling.sets.flatMap((set) => set.groups.slice(0, 2)));
    const { layout } = getCore(model).network;
    const mask = maskGroups(layout, coupling.groups, { removed, mask: fullMask(layout) });
    const values = await readFloats(gpu, getCore(model).network.arena("values"));
    getCore(model).network.arena("values").write(values.map((value, i) => value * mask[i]));
    getCore(model).network.arena("mask").write(mask);
    // Biases are removed too, which state and file remember.
    const state = await model.state();
    assertEquals(state.masks.get("conv1.bias"), Float32Array.of(0, 0, 1, 1));
    await model.save("masked.safetensors", files, "sparse");
    using masked = await Model.load(gpu, "masked.safetensors", files);
    assertEquals((await masked.state()).masks, state.masks);
    const before = await model.evaluate(dataset.test), held = gpu.allocatedBytes;
    const report = await model.compact(dataset.test);
    assertEquals(report.channels.filter(({ name }) => /^(conv|fc)/.test(name)), [
      { name: "conv1", before: 4, after: 2 },
      { name: "conv2", before: 5, after: 3 },
      { name: "fc1", before: 7, after: 5 },
    ]);
    assertEquals(report.after.parameters, getCore(model).network.layout.count);
    const after = await model.evaluate(dataset.test);
    assertEquals(after.predictions, before.predictions);
    assert(gpu.allocatedBytes < held);
    await model.save("small.safetensors", files);
    using loaded = await Model.load(gpu, "small.safetensors", files);
    assertEquals(loaded.graph, model.graph);
    assertEquals(await loaded.evaluate(dataset.test), after);
    await model.score(dataset.test, { examples: 96 });
    await model.remove(20);
    const { steps } = await model.train(dataset.train, training);
    assertEquals(steps, 6);
    // Nothing is left to go.
    const again = await model.compact(dataset.test);
    assertEquals(again.after, again.before);
  }
  assertEquals(gpu.allocatedBytes, start);
});
