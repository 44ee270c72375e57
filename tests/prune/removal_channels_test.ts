/** Removal of coupled channels, and by what they cost, held to the host. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../src/errors.ts";
import { FeatureExamples } from "../../src/gpu/examples.ts";
import { Network } from "../../src/gpu/network.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { SlotPool } from "../../src/gpu/slots.ts";
import { resolveGraph } from "../../src/model/graph.ts";
import { summarizeModel } from "../../src/model/summary.ts";
import { planCompaction } from "../../src/prune/compact/compact.ts";
import { signalToNoiseAt } from "../../src/prune/score/confidence.ts";
import { coupleChannels } from "../../src/prune/groups/coupling.ts";
import { prunableTensors } from "../../src/prune/score/criteria.ts";
import { forEachElement, groupRuns, indexParameters } from "../../src/prune/groups/runs.ts";
import { groupDeviate } from "../../src/prune/groups/scores.ts";
import { Pruner } from "../../src/prune/pruner.ts";
import { countQuads } from "../../src/shape.ts";
import { deviceOf } from "../helpers/devices.ts";
import { openWorkbench, tinyGraph } from "../helpers/tiny_network.ts";
import { normalBelow } from "../reference/erf.ts";
import { randomArenas, randomGraph } from "./random_graphs.ts";
import { type HostGroup, layerName, placesOf, scoring } from "./removal_cases.ts";

Deno.test("Pruner.remove() removes coupled channels, whole, by their chi-square confidence", async () => {
  const gpu = await deviceOf();
  using slots = new SlotPool(gpu);
  let thresholds = 0, allBelow = 0;
  for (const seed of [1, 4, 9, 11]) {
    const graph = randomGraph(seed), { groups, sets, groupOf } = coupleChannels(graph);
    using network = new Network(gpu, graph, 0);
    const { layout } = network, places = indexParameters(layout), tensors = prunableTensors(layout);
    using pruner = new Pruner(network);
    network.arena("values").write(randomArenas(graph, 2).values);
    network.copyArena("values", "mean");
    // Scores count examples that were accumulated; what was is replaced.
    const { channels, height, width } = graph.input;
    const features = new Float32Array(4 * height * width * countQuads(channels));
    await pruner.accumulate(new FeatureExamples(features, new Uint32Array(1), 1), {
      choose: gpu.choose,
      slots,
    });
    network.arena("fisher").write(randomArenas(graph, 3).values.map((value) => 1e-3 * Math.abs(value)));
    network.clearArena("gradient_mean");
    await pruner.score("confidence", scoring);
    const z = await readFloats(gpu, network.arena("scores"));
    const before = await readFloats(gpu, network.arena("mask"));
    const members = groups.map((group) => {
      const own: number[] = [];
      for (const run of groupRuns(places, group)) {
        if (run.arena === "values") forEachElement(run, (place) => before[place] > 0 && own.push(place));
      }
      return own;
    });
    const weightsOf = (own: readonly number[]) =>
      own.filter((place) => place < 4 * layout.windows[0].weightQuads);
    const signals = members.map((own) => {
      const weights = weightsOf(own), signal = weights.reduce((sum, place) => sum + z[place] ** 2, 0);
      return { signal, elements: weights.length };
    });
    const deviates = signals.map(({ signal, elements }) => groupDeviate(signal, elements));
    const confidences = deviates.map(normalBelow);
    // The threshold between two groups, as a z of single weights.
    const sorted = confidences.toSorted((a, b) => a - b);
    const middle = (sorted[0] + sorted[1]) / 2;
    if (sorted[0] > 1e-6 && sorted[1] - sorted[0] > 1e-3 && middle < 1 - 1e-6) {
      thresholds++;
      const lowest = confidences.indexOf(sorted[0]);
      const options = { granularity: "channel" } as const;
      const below = await pruner.countBelow(signalToNoiseAt(middle), options);
      const fits = [...sets[groups[lowest].set].layers].every(([name, count]) =>
        groupOf[graph.layers.findIndex((layer) => layer.name === name)].length - count >= 1
      );
      assertEquals(below, fits ? weightsOf(members[lowest]).length : 0);
      allBelow += below;
    }
    const target = Math.floor(0.3 * layout.prunableCount);
    const layers = await pruner.remove(target, { granularity: "channel" });
    const removed = layers.reduce((sum, { weights, kept }) => sum + weights - kept, 0);
    assert(removed >= target, `${removed} of ${target}`);
    const mask = await readFloats(gpu, network.arena("mask"));
    const isGone = members.map((own) => own.every((place) => mask[place] === 0));
    const gone = new Set(members.flatMap((own, group) => isGone[group] ? own : []));
    for (let place = 0; place < mask.length; place++) {
      const wanted = before[place] === 0 || gone.has(place);
      assertEquals(mask[place] === 0, wanted, `${graph.name}, float ${place}`);
    }
    // Without the last group to go fewer than the target would be gone.
    const last = [...groups.keys()].filter((group) => isGone[group])
      .sort((a, b) => deviates[b] - deviates[a])[0];
    const others = new Set(members.flatMap((own, group) => isGone[group] && group !== last ? own : []));
    assert(weightsOf([...others]).length < target);
    for (const [i, layer] of groupOf.entries()) {
      assert(layer.some((group) => group < 0 || !isGone[group]), `${graph.layers[i].name} keeps a channel`);
    }
    const values = await readFloats(gpu, network.arena("values"));
    assert([...gone].every((place) => values[place] === 0));
    assertEquals(tensors.length, layers.length);
  }
  assert(thresholds > 2 && allBelow > 0, `${allBelow} below ${thresholds} thresholds`);
});

Deno.test("Pruner.remove() leaves the channels that a protected layer makes, and says what cannot go", async () => {
  using bench = openWorkbench(await deviceOf(), { seed: 6, graph: tinyGraph() });
  const { network } = bench, { layout } = network;
  using pruner = new Pruner(network);
  network.copyArena("values", "mean");
  await pruner.score("random", scoring);
  const options = { granularity: "channel", protect: ["conv2"], scope: "layer" } as const;
  const layers = await pruner.remove(30, options);
  assertEquals(layers.find(({ name }) => name === "conv2.weight")!.emptyChannels, 0);
  await assertRejects(
    () => pruner.remove(layout.prunableCount, options),
    ConfigError,
    "may be removed by channels",
  );
  const mask = (await network.readParameters("mask")).get("conv1.bias")!;
  assertEquals(mask.filter((keep) => keep === 0).length, layers[0].emptyChannels);
});

Deno.test("Pruner.remove() counts multiply-adds and ranks by worth for each of them where asked", async () => {
  using bench = openWorkbench(await deviceOf(), { seed: 6 });
  const { network } = bench, { layout, gpu, graph } = network, tensors = prunableTensors(layout);
  using pruner = new Pruner(network);
  network.copyArena("values", "mean");
  await pruner.score("magnitude", scoring);
  const scores = await readFloats(gpu, network.arena("scores"));
  const before = await readFloats(gpu, network.arena("mask"));
  const nodes = resolveGraph(graph);
  const pixels = tensors.map((tensor) => {
    const { output } = nodes.find(({ spec }) => spec.name === layerName(tensor))!;
    return output.height * output.width;
  });
  const groups = tensors.flatMap((tensor, layer) => {
    const rows = Map.groupBy(placesOf(tensor), ({ row }) => row);
    return [...rows.values()].map((own): HostGroup => ({ layer, places: own.map(({ place }) => place) }));
  });
  const total = summarizeModel(graph).multiplyAdds, target = Math.floor(0.4 * total);
  const alive = tensors.map(({ rows }) => rows);
  const worth = ({ layer, places }: HostGroup) =>
    places.reduce((sum, place) => sum + scores[place] ** 2, 0) / (places.length * pixels[layer]);
  const want = before.slice();
  let removed = 0;
  for (const group of groups.toSorted((a, b) => worth(a) - worth(b))) {
    if (removed >= target) break;
    if (alive[group.layer] === 1) continue;
    alive[group.layer]--;
    removed += group.places.length * pixels[group.layer];
    for (const place of group.places) want[place] = 0;
  }
  await pruner.remove(target, { granularity: "filter", measure: "multiply-adds", perCost: true });
  const got = await readFloats(gpu, network.arena("mask"));
  assertEquals(got, want);
  await assertRejects(() => pruner.remove(1, { perCost: true }), ConfigError, "each of which counts as one");
  await assertRejects(() => pruner.remove(1, { granularity: { rows: 0, channels: 1 } }), ConfigError, "rows");
});

Deno.test("Pruner.remove() of channels takes as many multiply-adds as the compacted model lacks", async () => {
  const gpu = await deviceOf();
  const graphs = [
    { graph: tinyGraph(), isExact: true },
    ...[4, 9].map((seed) => ({
      graph: randomGraph(seed),
      isExact: false,
    })),
  ];
  for (const { graph, isExact } of graphs) {
    using network = new Network(gpu, graph, 5);
    using pruner = new Pruner(network);
    network.copyArena("values", "mean");
    await pruner.score("magnitude", scoring);
    const total = summarizeModel(graph).multiplyAdds, target = Math.floor(0.3 * total);
    const options = { granularity: "channel", measure: "multiply-adds", perCost: true } as const;
    await pruner.remove(target, options);
    const mask = await readFloats(gpu, network.arena("mask"));
    const left = summarizeModel(planCompaction(graph, { mask }).graph).multiplyAdds;
    assert(left <= total - target, `${graph.name}: ${left} of ${total}`);
    // What is gone by then is enough, so nothing more goes, and one more takes a group.
    await pruner.remove(target, options);
    assertEquals(await readFloats(gpu, network.arena("mask")), mask);
    const pixels = new Map(
      resolveGraph(graph).map(({ spec, output }) => [spec.name, output.height * output.width]),
    );
    const gone = prunableTensors(network.layout).reduce((sum, tensor) => {
      const own = placesOf(tensor).filter(({ place }) => mask[place] === 0).length;
      return sum + own * pixels.get(layerName(tensor))!;
    }, 0);
    assert(gone >= target && (isExact ? left === total - gone : left <= total - gone));
  }
});
