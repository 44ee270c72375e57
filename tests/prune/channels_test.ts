/** Holds the removal of coupled channels against what every layer keeps, and against the smaller network in f64. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Model } from "../../src/api/model.ts";
import { getCore } from "../../src/api/model_core.ts";
import { ConfigError } from "../../src/errors.ts";
import { Network } from "../../src/gpu/network.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import type { Graph } from "../../src/model/graph.ts";
import { getLayerName } from "../../src/plan/layout.ts";
import { planCompaction } from "../../src/prune/compact/compact.ts";
import { coupleChannels, listMakers } from "../../src/prune/groups/coupling.ts";
import { Pruner } from "../../src/prune/pruner.ts";
import type { RemovalOptions } from "../../src/prune/select/removal.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { graphs } from "../plan/graphs.ts";
import { assertClose, maxAbs, randomTensor } from "../reference/tensor.ts";
import { placesOfGroup } from "./mask_groups.ts";
import { gatherArenas, logitsOf, randomArenas, randomGraph } from "./random_graphs.ts";

const scoring = { examples: 200, seed: 4, prior: "matched" } as const;
const residual = graphs.find(({ name }) => name.startsWith("residual blocks"))!;
const channels = { granularity: "channel" } as const;

/** A network of random values, scored by magnitude; the weights of some layers are small. */
async function openScored(graph: Graph, small: readonly string[] = []) {
  const network = new Network(await deviceOf(), graph, 0), { values } = randomArenas(graph, 2);
  for (const parameter of network.layout.parameters) {
    if (!parameter.prunable || !small.includes(getLayerName(parameter))) continue;
    const { offset, quads } = parameter;
    for (let place = 4 * offset; place < 4 * (offset + quads); place++) values[place] *= 1e-3;
  }
  network.arena("values").write(values);
  network.copyArena("values", "mean");
  const pruner = new Pruner(network);
  await pruner.score("magnitude", scoring);
  const remove = async (target: number, options: RemovalOptions = {}) => {
    await pruner.remove(target, { ...channels, ...options });
    return await readFloats(network.gpu, network.arena("mask"));
  };
  return {
    network,
    remove,
    [Symbol.dispose]() {
      pruner[Symbol.dispose]();
      network[Symbol.dispose]();
    },
  };
}

/** The groups that keep a trained number. */
function keptGroups({ graph, layout }: Network, mask: Float32Array): ReadonlySet<number> {
  const { groups } = coupleChannels(graph);
  return new Set(
    groups.keys().filter((group) => placesOfGroup(layout, groups[group]).some((place) => mask[place] > 0)),
  );
}

Deno.test("Pruner.remove() keeps multiples of roundTo in every coupled set that loses channels", async () => {
  let rounded = 0;
  for (let seed = 0; seed < 8; seed++) {
    const graph = randomGraph(seed), { sets } = coupleChannels(graph);
    for (const roundTo of [2, 3]) {
      using scored = await openScored(graph);
      const { network, remove } = scored, target = Math.floor(0.25 * network.layout.prunableCount);
      const attempt = await remove(target, { roundTo }).catch((error: unknown) => {
        assert(error instanceof ConfigError && error.message.includes(`multiples of ${roundTo}`));
      });
      if (!attempt) continue;
      const kept = keptGroups(network, attempt);
      for (const { groups } of sets) {
        const count = groups.filter((group) => kept.has(group)).length;
        assert(
          count % roundTo === 0 || count === groups.length,
          `${graph.name}, ${count} of ${groups.length}`,
        );
        if (count < groups.length) rounded++;
      }
      const removed = attempt.subarray(0, 4 * network.layout.windows[0].weightQuads).filter((keep) =>
        keep === 0
      ).length;
      assert(removed >= target);
    }
  }
  assert(rounded > 5, `${rounded}`);
});

Deno.test("Pruner.remove() lets a block without inner channels vanish, and the logits are those of the rest", async () => {
  const inner = ["block1.conv1", "block1.conv2"];
  const branch = residual.layers.map(({ name }) => name).filter((name) => /^block1.(?!add|relu2)/.test(name));
  using scored = await openScored(residual, ["block1.conv1"]);
  const { network, remove } = scored;
  const weights = network.layout.parameters
    .filter((parameter) => inner.includes(getLayerName(parameter)) && parameter.prunable)
    .reduce((sum, { count }) => sum + count, 0);
  // All but the weights of the block's last channel, and one more.
  const mask = await remove(Math.ceil(weights * 5 / 6) + 1);
  const compaction = planCompaction(residual, { mask });
  // Its ReLU reads a ReLU now.
  assertEquals(compaction.removedLayers, [...branch, "block1.add", "block1.relu2"]);
  const parameters = network.layout.parameters
    .filter((parameter) => parameter.arena === "values" && branch.includes(getLayerName(parameter)));
  assert(parameters.length > 3, `${parameters.length}`);
  for (const { offset, quads, fullName } of parameters) {
    assert(mask.subarray(4 * offset, 4 * (offset + quads)).every((keep) => keep === 0), fullName);
  }
  const arenas = randomArenas(residual, 2), images = randomTensor([2, 3, 9, 9], 4);
  const masked = { ...arenas, values: arenas.values.map((value, i) => value * mask[i]) };
  const want = logitsOf(residual, masked, images);
  const got = logitsOf(compaction.graph, gatherArenas(compaction, masked), images);
  // Both sum the same numbers but for zeros.
  assertClose(got, want, { tolerance: 1e-12 * maxAbs(want), name: "logits" });
});

Deno.test("Pruner.remove() keeps a block that is protected in part, or that a floor keeps", async () => {
  for (const options of [{ protect: ["block1.conv2"] }, { floor: 1e-3 }, { protect: ["block1.conv1"] }]) {
    using scored = await openScored(residual, ["block1.conv1"]);
    const { network, remove } = scored;
    const mask = await remove(Math.floor(0.3 * network.layout.prunableCount), options);
    assert(
      !planCompaction(residual, { mask }).removedLayers.includes("block1.conv1"),
      JSON.stringify(options),
    );
  }
});

Deno.test("Pruner.remove() refuses a roundTo that is not possible", async () => {
  using scored = await openScored(residual);
  await assertRejects(() => scored.remove(1, { roundTo: 0 }), ConfigError, '"roundTo": 0, expected a whole');
  await assertRejects(
    () => scored.remove(1, { granularity: "filter", roundTo: 2 }),
    ConfigError,
    '"roundTo": 2, expected 1 unless channels go',
  );
});

Deno.test("Pruner.remove() takes only the channels that the named layers make, all of them", async () => {
  using scored = await openScored(residual);
  const { network, remove } = scored, madeBy = ["block1.conv1"];
  await assertRejects(() => scored.remove(1, { madeBy: ["conv9"] }), ConfigError, '"madeBy": no layer with');
  await assertRejects(
    () => scored.remove(1, { granularity: "filter", madeBy }),
    ConfigError,
    '"madeBy": block1.conv1, expected none unless channels go',
  );
  const mask = await remove(1, { madeBy }), { groups } = coupleChannels(network.graph);
  const kept = keptGroups(network, mask), gone = groups.filter((_, group) => !kept.has(group));
  assertEquals(gone.map(listMakers), [madeBy]);
});

Deno.test("Model.restore() masks biases and batch norm of removed channels again, of states and of files", async () => {
  const gpu = await deviceOf(), files = memoryFiles(), dataset = tinyDataset();
  const { channels: maps, height, width } = dataset,
    graph: Graph = {
      ...residual,
      input: { channels: maps, height, width },
      layers: residual.layers.map((layer) => {
        if (layer.name === "average") return { kind: "globalavgpool2d", name: "average" };
        return layer.kind === "linear" ? { ...layer, outFeatures: dataset.classes.length } : layer;
      }),
    };
  using model = new Model(gpu, graph, { task: dataset, seed: 3 });
  await model.score(dataset.test, { by: "magnitude", examples: 1 });
  await model.remove(Math.floor(0.3 * getCore(model).network.layout.prunableCount), channels);
  const maskOf = async (model: Model) => await readFloats(gpu, getCore(model).network.arena("mask"));
  const mask = await maskOf(model), state = await model.state();
  const masked = [...state.masks].filter(([, values]) => values.includes(0)).map(([name]) => name);
  assert(masked.some((name) => /bn\d.weight$/.test(name)) && masked.some((name) => /bn\d.bias$/.test(name)));
  await model.save("masked.safetensors", files);
  using loaded = await Model.load(gpu, "masked.safetensors", files);
  assertEquals(await maskOf(loaded), mask);
  using copy = model.copy();
  assert((await maskOf(copy)).some((keep, i) => keep !== mask[i]));
  copy.restore(state);
  assertEquals(await maskOf(copy), mask);
  // What is restored over is forgotten.
  using whole = new Model(gpu, graph, { task: dataset, seed: 3 });
  copy.restore(await whole.state());
  assertEquals(await maskOf(copy), await maskOf(whole));
});
