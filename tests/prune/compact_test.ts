/**
 * Holds compaction against brute force: the masked network and the smaller one give the same logits in f64, and the
 * smaller one has the parameters that its widths say. Both sum the same numbers but for zeros, in the same order, so
 * that they differ by nothing but the places of zeros: 1e-12 of the largest logit is generous. Where constants are taken
 * over, sums are stored in 32 bits.
 */
import { assert, assertEquals } from "@std/assert";
import { summarizeModel } from "../../src/model/summary.ts";
import { type Graph, parseGraph, resolveGraph } from "../../src/model/graph.ts";
import type { SubsampleSpec } from "../../src/model/layers/subsample.ts";
import {
  fullMask,
  getLayerName,
  layOutParameters,
  type ParameterLayout,
  placeParameter,
  takeParameter,
} from "../../src/plan/layout.ts";
import { noSource, planCompaction } from "../../src/prune/compact/compact.ts";
import { coupleChannels } from "../../src/prune/groups/coupling.ts";
import { graphs } from "../plan/graphs.ts";
import { assertClose, maxAbs, randomTensor } from "../reference/tensor.ts";
import { maskGroups, placesOfGroup } from "./mask_groups.ts";
import { gatherArenas, logitsOf, openDraw, randomArenas, randomGraph, randomMask } from "./random_graphs.ts";

/** Compacts by a mask and holds logits and parameters of the result against the masked network. */
function compactAndCompare(graph: Graph, mask: Float32Array, name: string) {
  const arenas = randomArenas(graph, 3), { channels, height, width } = graph.input;
  const masked = { ...arenas, values: arenas.values.map((value, i) => value * mask[i]) };
  const compaction = planCompaction(graph, { mask, ...arenas });
  const smaller = gatherArenas(compaction, masked);
  const images = randomTensor([2, channels, height, width], 4);
  const want = logitsOf(graph, masked, images), got = logitsOf(compaction.graph, smaller, images);
  // What takes over constants is stored in 32 bits.
  const rounding = compaction.folds.length > 0 ? 1e-5 : 1e-12;
  assertClose(got, want, { tolerance: rounding * Math.max(1, maxAbs(want)), name });
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
      new Float32Array(parameter.count).fill(pixels.get(getLayerName(parameter))!),
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
  let alone = 0, compared = 0;
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
      compared++;
      if (removedGroups.size === 1 && removedGroups.has(group)) {
        alone++;
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
  assert(alone > compared / 2, `${alone} of ${compared}`);
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
  let removed = 0, folded = 0;
  for (const [i, graph] of all.entries()) {
    for (const keepOne of [2, 4, 10]) {
      const kept = randomMask(graph, openDraw(i, "weights"), keepOne);
      // Mostly removed: one in `keepOne` is kept.
      const mask = fullMask(layOutParameters(graph)).map((keep, place) => keep - kept[place]);
      const { removedGroups, folds } = compactAndCompare(
        graph,
        mask,
        `${graph.name}, kept one in ${keepOne}`,
      );
      removed += removedGroups.size;
      folded += folds.length;
    }
    // As pruning leaves it: weights go, biases and batch norm stay.
    const layout = layOutParameters(graph), few = fullMask(layout), draw = openDraw(i, "few weights");
    for (const { prunable, offset, quads } of layout.parameters) {
      if (!prunable) continue;
      for (let place = 4 * offset; place < 4 * (offset + quads); place++) {
        if (draw(8) !== 0) few[place] = 0;
      }
    }
    const { removedGroups, folds } = compactAndCompare(graph, few, `${graph.name}, weights alone`);
    removed += removedGroups.size;
    folded += folds.length;
    compactAndCompare(
      graph,
      new Float32Array(4 * layOutParameters(graph).quads),
      `${graph.name}, all removed`,
    );
  }
  assert(removed > 1000 && folded > 50, `${removed} groups, ${folded} folds`);
});

const residual = graphs.find(({ name }) => name.startsWith("residual blocks"))!;

/** A mask of all but some parameters, by name. */
function maskWithout(graph: Graph, names: readonly string[]): Float32Array {
  const layout = layOutParameters(graph), mask = fullMask(layout);
  for (const name of names) {
    const { offset, quads } = layout.parameters.find(({ fullName }) => fullName === name)!;
    mask.fill(0, 4 * offset, 4 * (offset + quads));
  }
  return mask;
}

Deno.test("planCompaction() drops a branch whose batch norm is removed, its sum, what feeds it and the ReLU of a ReLU", () => {
  const first = ["block1.bn2.weight", "block1.bn2.bias"];
  const { graph, removedLayers, removedGroups } = compactAndCompare(
    residual,
    maskWithout(residual, first),
    "without block 1",
  );
  const namesOf = (pattern: RegExp) => residual.layers.map(({ name }) => name).filter((n) => pattern.test(n));
  assertEquals(removedLayers, namesOf(/^block1/));
  // The six channels between its convolutions.
  assertEquals(removedGroups.size, 6);
  const inputsOf = (name: string) => graph.layers.find((layer) => layer.name === name)!.inputs;
  assertEquals(inputsOf("block2.conv1"), undefined);
  assertEquals(inputsOf("block2.shortcut"), ["relu1"]);
  const both = [...first, "block2.bn2.weight", "block2.bn2.bias"];
  const next = compactAndCompare(residual, maskWithout(residual, both), "without block 2");
  assertEquals(next.removedLayers, namesOf(/^block(1|2.(?!shortcut))/));
});

Deno.test("planCompaction() keeps the ReLU of what may be negative where a branch is gone", () => {
  const projected = graphs.find(({ name }) => name.startsWith("projection"))!;
  const withoutFirst = maskWithout(projected, ["conv2.weight", "conv2.bias"]);
  const { removedLayers } = compactAndCompare(projected, withoutFirst, "without the ReLU's branch");
  assertEquals(removedLayers, ["conv2", "relu2", "sum"]);
  const withoutSecond = maskWithout(projected, ["projection norm.weight", "projection norm.bias"]);
  const other = compactAndCompare(projected, withoutSecond, "without the projection");
  assertEquals(other.removedLayers, ["projection", "projection norm", "sum", "relu3"]);
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

/** Numbers of a graph's arenas, and a mask without some rows of a weight: no channel of theirs depends on the images. */
function withoutRows(graph: Graph, weight: string, rows: readonly number[]) {
  const layout = layOutParameters(graph), mask = fullMask(layout);
  const { offset, rowQuads } = layout.parameters.find(({ fullName }) => fullName === weight)!;
  for (const row of rows) mask.fill(0, 4 * (offset + row * rowQuads), 4 * (offset + (row + 1) * rowQuads));
  return mask;
}

/** Convolutions by windows of 1 x 1 or of 3 x 3 with padding, with biases or batch norms, before a linear layer. */
function chain(kernel: 1 | 3, withNorm: boolean): Graph {
  const conv = (name: string) => [
    { kind: "conv2d", name, outChannels: 6, kernel, padding: kernel === 3 ? 1 : 0, bias: !withNorm },
    ...(withNorm ? [{ kind: "batchnorm2d", name: `${name}.bn` }] : []),
    { kind: "silu", name: `${name}.act` },
  ];
  return parseGraph({
    name: `chain of ${kernel}, ${withNorm ? "norms" : "biases"}`,
    input: { channels: 3, height: 5, width: 5 },
    layers: [
      ...conv("one"),
      ...conv("two"),
      { kind: "maxpool2d", name: "pool", kernel: 2, stride: 2 },
      { kind: "flatten", name: "flatten" },
      { kind: "linear", name: "fc", outFeatures: 4 },
    ],
  }, "a test");
}

Deno.test("planCompaction() takes out constant channels, and biases and running means take them over", () => {
  const widths = ({ graph }: ReturnType<typeof compactAndCompare>) =>
    resolveGraph(graph).filter(({ spec: { name } }) => name === "one" || name === "two")
      .map(({ output }) => output.channels);
  for (const withNorm of [false, true]) {
    const small = chain(1, withNorm), first = withoutRows(small, "one.weight", [1, 4]);
    const one = compactAndCompare(small, first, small.name);
    assertEquals(widths(one), [4, 6]);
    // Six rows of the second layer read both.
    assertEquals(one.folds.length, 6);
    assertEquals(new Set(one.folds.map(({ arena }) => arena)), new Set([withNorm ? "statistics" : "values"]));
    // Its own empty rows are read by the linear layer, behind pooling and flattening.
    const two = compactAndCompare(small, withoutRows(small, "two.weight", [0, 5]), small.name);
    assertEquals([widths(two), two.folds.length], [[6, 4], 4]);
    // At the edges padding counts as zero, so that nothing is constant behind it.
    const padded = chain(3, withNorm);
    const kept = compactAndCompare(padded, withoutRows(padded, "one.weight", [1, 4]), padded.name);
    assertEquals([widths(kept), kept.folds], [[6, 6], []]);
    // Nothing is known to be constant without values.
    assertEquals(planCompaction(small, { mask: first }).folds, []);
  }
});

Deno.test("planCompaction() keeps a constant channel where a removed bias cannot take it over", () => {
  const graph = chain(1, false), mask = withoutRows(graph, "one.weight", [1]);
  const { parameters } = layOutParameters(graph);
  const bias = parameters.find(({ fullName }) => fullName === "two.bias")!;
  mask[4 * bias.offset + 3] = 0;
  assertEquals(compactAndCompare(graph, mask, "one bias removed").folds, []);
});
