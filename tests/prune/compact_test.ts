/**
 * Holds compaction against brute force: the masked network and the smaller one give the same logits in f64, and the
 * smaller one has the parameters that its widths say. Both sum the same numbers but for zeros, in the same order, so
 * that they differ by nothing but the places of zeros: 1e-12 of the largest logit is generous.
 */
import { assert, assertEquals } from "@std/assert";
import { summarizeModel } from "../../src/model/summary.ts";
import { type Graph, parseGraph, resolveGraph } from "../../src/model/graph.ts";
import type { SubsampleSpec } from "../../src/model/layers/subsample.ts";
import {
  fullMask,
  layerNameOf,
  layOutParameters,
  type ParameterLayout,
  placeParameter,
  takeParameter,
} from "../../src/plan/layout.ts";
import { noSource, planCompaction } from "../../src/prune/compact.ts";
import { coupleChannels } from "../../src/prune/coupling.ts";
import { graphs } from "../plan/graphs.ts";
import { assertClose, maxAbs, randomTensor } from "../reference/tensor.ts";
import { maskGroups, placesOfGroup } from "./mask_groups.ts";
import { gatherArenas, logitsOf, openDraw, randomArenas, randomGraph, randomMask } from "./random_graphs.ts";

/** Compacts by a mask and holds logits and parameters of the result against the masked network. */
function compactAndCompare(graph: Graph, mask: Float32Array, name: string) {
  const arenas = randomArenas(graph, 3), { channels, height, width } = graph.input;
  const masked = { ...arenas, values: arenas.values.map((value, i) => value * mask[i]) };
  const compaction = planCompaction(graph, mask);
  const smaller = gatherArenas(compaction, masked);
  const images = randomTensor([2, channels, height, width], 4);
  const want = logitsOf(graph, masked, images), got = logitsOf(compaction.graph, smaller, images);
  assertClose(got, want, { tolerance: 1e-12 * Math.max(1, maxAbs(want)), name });
  const layout = layOutParameters(compaction.graph);
  assertEquals(compaction.sources.values.length, 4 * layout.quads, name);
  assertEquals(summarizeModel(compaction.graph).parameters, layout.count, name);
  // No number that is no padding comes from nowhere.
  for (const parameter of layout.parameters) {
    const sources = Float32Array.from(
      compaction.sources[parameter.arena],
      (source) => source < 2 ** 24 ? 1 : 0,
    );
    assert(takeParameter(parameter, sources).every(Boolean), `${name}, ${parameter.fullName}`);
  }
  return compaction;
}

/** What each weight of an arena costs: the pixels of its layer's output; 0 for padding and all else. */
function pixelsOf(graph: Graph, { parameters, quads }: ParameterLayout): Float32Array {
  const pixels = new Map(
    resolveGraph(graph).map(({ spec, output }) => [spec.name, output.height * output.width]),
  );
  const costs = new Float32Array(4 * quads);
  for (const parameter of parameters) {
    if (!parameter.prunable) continue;
    placeParameter(
      parameter,
      new Float32Array(parameter.count).fill(pixels.get(layerNameOf(parameter))!),
      costs,
    );
  }
  return costs;
}

/** The channels of each layer that are left by hand: those of no removed group. */
function widthsOf(graph: Graph, removed: ReadonlySet<number>): ReadonlyMap<string, number> {
  const { groupOf } = coupleChannels(graph);
  return new Map(
    graph.layers.map(({ name }, i) => [name, groupOf[i].filter((group) => !removed.has(group)).length]),
  );
}

/** Every graph: those of the plans, as far as their names are their own, and random ones. */
const all = [
  ...graphs.filter(({ layers }) => new Set(layers.map(({ name }) => name)).size === layers.length),
  ...Array.from({ length: 40 }, (_, seed) => randomGraph(seed)),
];

Deno.test("planCompaction() of nothing keeps graph and numbers", () => {
  let unchanged = 0;
  for (const graph of all) {
    const compaction = compactAndCompare(graph, fullMask(layOutParameters(graph)), graph.name);
    const { groups, sets } = coupleChannels(graph),
      kept = compaction.sources.values.filter((source) => source !== noSource);
    // A shortcut's zeros to which nothing is added may go without a mask.
    for (const group of compaction.removedGroups) {
      assert(
        [...sets[groups[group].set].layers.keys()].some((name) => name.startsWith("shortcut")),
        graph.name,
      );
    }
    if (compaction.removedGroups.size > 0) continue;
    unchanged++;
    assertEquals(compaction.removedLayers, [], graph.name);
    assertEquals(kept.length, summarizeModel(graph).parameters);
  }
  assert(unchanged > 0.9 * all.length, `${unchanged} of ${all.length}`);
});

Deno.test("planCompaction() removes each group for itself and nothing else, and logits stay", () => {
  for (const graph of all) {
    const layout = layOutParameters(graph), coupling = coupleChannels(graph), { groups } = coupling;
    const mask = fullMask(layout), pixels = pixelsOf(graph, layout);
    for (let group = 0; group < groups.length; group += Math.ceil(groups.length / 5)) {
      const masked = maskGroups(layout, groups, { removed: [group], mask });
      const { graph: smaller, removedGroups } = compactAndCompare(
        graph,
        masked,
        `${graph.name}, group ${group}`,
      );
      // The last channel of a layer stays, and zeros may go along.
      if (removedGroups.size === 1 && removedGroups.has(group)) {
        const saved = summarizeModel(graph).multiplyAdds - summarizeModel(smaller).multiplyAdds;
        const own = placesOfGroup(layout, groups[group]);
        assertEquals(
          own.reduce((sum, place) => sum + pixels[place], 0),
          saved,
          `${graph.name}, group ${group}`,
        );
      }
      const nodes = resolveGraph(smaller), widths = widthsOf(graph, removedGroups);
      for (const { spec, output } of nodes) assertEquals(output.channels, widths.get(spec.name), spec.name);
    }
  }
});

Deno.test("planCompaction() gives the masked network's logits for random sets of groups", () => {
  for (const [i, graph] of all.entries()) {
    const layout = layOutParameters(graph), { groups } = coupleChannels(graph), draw = openDraw(i, "groups");
    for (const one of [2, 4]) {
      const removed = new Set([...groups.keys()].filter(() => draw(one) === 0));
      const mask = maskGroups(layout, groups, { removed, mask: fullMask(layout) });
      const { graph: smaller } = compactAndCompare(graph, mask, `${graph.name}, one in ${one}`);
      assertEquals(parseGraph(JSON.parse(JSON.stringify(smaller)), "a"), smaller, "what a file may hold");
      for (const { output } of resolveGraph(smaller)) assert(output.channels > 0);
    }
  }
});

Deno.test("planCompaction() gives the masked network's logits for masks of single weights", () => {
  let removed = 0;
  for (const [i, graph] of all.entries()) {
    for (const keepOne of [2, 4, 10]) {
      const kept = randomMask(graph, openDraw(i, "weights"), keepOne);
      // Mostly removed: one in `keepOne` is kept.
      const mask = fullMask(layOutParameters(graph)).map((keep, place) => keep - kept[place]);
      removed += compactAndCompare(graph, mask, `${graph.name}, kept one in ${keepOne}`).removedGroups.size;
    }
    compactAndCompare(
      graph,
      new Float32Array(4 * layOutParameters(graph).quads),
      `${graph.name}, all removed`,
    );
  }
  assert(removed > 100, `${removed} groups`);
});

const residual = graphs.find(({ name }) => name.startsWith("residual blocks"))!;

Deno.test("planCompaction() drops a branch whose batch norm is removed, with its sum, and what feeds it", () => {
  const { parameters } = layOutParameters(residual), mask = fullMask(layOutParameters(residual));
  const remove = (name: string) => {
    const { offset, quads } = parameters.find(({ fullName }) => fullName === name)!;
    mask.fill(0, 4 * offset, 4 * (offset + quads));
  };
  remove("block1.bn2.weight");
  remove("block1.bn2.bias");
  const { graph, removedLayers, removedGroups } = compactAndCompare(residual, mask, "without block 1");
  assertEquals(
    removedLayers,
    residual.layers.map(({ name }) => name).filter((name) => /^block1.(?!relu2)/.test(name)),
  );
  // The six channels between its convolutions.
  assertEquals(removedGroups.size, 6);
  assertEquals(graph.layers.find(({ name }) => name === "block1.relu2")!.inputs, undefined);
  remove("block2.bn2.weight");
  remove("block2.bn2.bias");
  const next = compactAndCompare(residual, mask, "without block 2");
  const gone = residual.layers.map(({ name }) => name).filter((name) =>
    /^block(1.(?!relu2)|2.(?!relu2|shortcut))/.test(name)
  );
  assertEquals(next.removedLayers, gone);
});

Deno.test("planCompaction() keeps the odd places of zeros in a shortcut", () => {
  const layout = layOutParameters(residual), { groups, groupOf } = coupleChannels(residual);
  const shortcut = residual.layers.findIndex(({ name }) => name === "block2.shortcut");
  // One zero before the input's six channels and two behind; the one before goes.
  const mask = maskGroups(layout, groups, { removed: [groupOf[shortcut][0]], mask: fullMask(layout) });
  const { graph } = compactAndCompare(residual, mask, "without the first zeros");
  const { outChannels, before } = graph.layers[shortcut] as SubsampleSpec;
  assertEquals([outChannels, before], [8, 0]);
});
