import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import type { Graph } from "../../src/model/graph.ts";
import { fullMask, layOutParameters } from "../../src/plan/layout.ts";
import { planCompaction } from "../../src/prune/compact.ts";
import { coupleChannels } from "../../src/prune/coupling.ts";
import { findBranches, maskBranches } from "../../src/prune/group_branches.ts";
import { maskGroups } from "../../src/prune/group_runs.ts";
import { selectGroups } from "../../src/prune/group_select.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { graphs } from "../plan/graphs.ts";
import { assertClose, maxAbs, randomTensor } from "../reference/tensor.ts";
import { gatherArenas, logitsOf, openDraw, randomArenas, randomGraph } from "./random_graphs.ts";

const residual = graphs.find(({ name }) => name.startsWith("residual blocks"))!;

Deno.test("selectGroups() takes the smallest scores and leaves every layer a channel", () => {
  // conv1 4 channels, conv2 5, fc1 7: groups 0 to 3, 4 to 8, 9 to 15.
  const coupling = coupleChannels(tinyGraph());
  const scores = [9, 1, 1, 0, 2, 2, 2, 2, 2, 8, 8, 8, 8, 8, 8, 8];
  assertEquals([...selectGroups(coupling, scores, { remove: 3 })], [3, 1, 2]);
  assertEquals([...selectGroups(coupling, scores, { remove: 8 })], [3, 1, 2, 4, 5, 6, 7, 9]);
  assertEquals(selectGroups(coupling, scores, { remove: 16 }).size, 16 - 3);
  assertEquals([...selectGroups(coupling, scores, { remove: 3, gone: [8, 0] })], [8, 0, 3]);
  assertEquals([...selectGroups(coupling, scores, { remove: 1, gone: [8, 0] })], [8, 0]);
  assertEquals(
    selectGroups(coupling, scores, { remove: 16, mayVanish: ["conv1", "relu1", "pool1"] }).size,
    14,
  );
});

Deno.test("selectGroups() keeps multiples of roundTo in every layer, also of stages that shortcuts join", () => {
  for (let seed = 0; seed < 40; seed++) {
    const graph = randomGraph(seed), coupling = coupleChannels(graph), draw = openDraw(seed, "scores");
    const { groups, sets, groupOf } = coupling, scores = groups.map(() => draw(1000));
    for (const roundTo of [1, 2, 3]) {
      const removed = selectGroups(coupling, scores, { remove: Math.floor(0.7 * groups.length), roundTo });
      for (const { groups: members } of sets) {
        const kept = members.filter((group) => !removed.has(group)).length;
        assert(
          kept % roundTo === 0 || kept === members.length,
          `${graph.name}, ${kept} of ${members.length}`,
        );
      }
      for (const layer of groupOf) assert(layer.some((group) => !removed.has(group)), graph.name);
    }
  }
});

Deno.test("selectGroups() refuses counts that are not possible", () => {
  const coupling = coupleChannels(tinyGraph()), scores = Array(16).fill(1);
  const refuse = (part: string, run: () => unknown) => assertThrows(run, ShapeError, part);
  refuse('"scores": 2, expected 16, one a group', () => selectGroups(coupling, [1, 2], { remove: 1 }));
  refuse(
    '"remove": 17, expected an integer from 0 to 16',
    () => selectGroups(coupling, scores, { remove: 17 }),
  );
  refuse('"roundTo": 0', () => selectGroups(coupling, scores, { remove: 1, roundTo: 0 }));
});

Deno.test("findBranches() finds residual blocks, shortcuts and terms, but nothing that all paths take", () => {
  const layersOf = (pattern: RegExp) =>
    residual.layers.map(({ name }) => name).filter((name) => pattern.test(name));
  assertEquals(findBranches(residual).map(({ sum, layers }) => [sum, layers] as const), [
    ["block1.add", layersOf(/^block1.(?!add|relu2)/)],
    ["block2.add", layersOf(/^block2.(?!add|relu2|shortcut)/)],
    ["block2.add", ["block2.shortcut"]],
    ["block3.add", ["block3.conv1"]],
    ["block3.add", ["block3.conv2"]],
  ]);
  assertEquals(findBranches(tinyGraph()), []);
});

Deno.test("maskBranches() lets a block without inner channels vanish, and the logits are those of the rest", () => {
  const layout = layOutParameters(residual), coupling = coupleChannels(residual);
  const branches = findBranches(residual),
    inner = residual.layers.findIndex(({ name }) => name === "block1.conv1");
  // The scores leave nothing of the block's inner channels, and little of others.
  const scores = coupling.groups.map((_, group) => coupling.groupOf[inner].includes(group) ? 0 : 1 + group);
  const mayVanish = branches.flatMap(({ layers }) => layers);
  const removed = selectGroups(coupling, scores, { remove: 9, mayVanish });
  const groupMask = maskGroups(layout, coupling.groups, { removed, mask: fullMask(layout) });
  const { mask, branches: gone } = maskBranches(residual, { coupling, layout, removed, mask: groupMask });
  assertEquals(gone, branches.slice(0, 1));
  const compaction = planCompaction(residual, mask);
  assertEquals(compaction.removedLayers, [...gone[0].layers, "block1.add"]);
  const arenas = randomArenas(residual, 2), images = randomTensor([2, 3, 9, 9], 4);
  const masked = { ...arenas, values: arenas.values.map((value, i) => value * mask[i]) };
  const want = logitsOf(residual, masked, images);
  const got = logitsOf(compaction.graph, gatherArenas(compaction, masked), images);
  assertClose(got, want, { tolerance: 1e-12 * maxAbs(want), name: "logits" });
});

Deno.test("maskBranches() leaves a sum one of its inputs", () => {
  const conv = { kind: "conv2d", kernel: 1, stride: 1, padding: 0, bias: true, outChannels: 3 } as const;
  const graph: Graph = {
    name: "two branches",
    input: { channels: 2, height: 2, width: 2 },
    layers: [
      { ...conv, name: "left" },
      { ...conv, name: "left out" },
      { ...conv, name: "right", inputs: ["input"] },
      { ...conv, name: "right out" },
      { kind: "add", name: "sum", inputs: ["left out", "right out"] },
      { kind: "flatten", name: "flatten" },
      { kind: "linear", name: "logits", outFeatures: 2, bias: false },
    ],
  };
  const layout = layOutParameters(graph), coupling = coupleChannels(graph);
  const removed = new Set([...coupling.groupOf[0], ...coupling.groupOf[2]]);
  const groupMask = maskGroups(layout, coupling.groups, { removed, mask: fullMask(layout) });
  const { branches, mask } = maskBranches(graph, { coupling, layout, removed, mask: groupMask });
  assertEquals(branches, [{ sum: "sum", layers: ["left", "left out"] }]);
  assertEquals(planCompaction(graph, mask).graph.layers.map(({ name }) => name), [
    ...["right", "right out", "flatten", "logits"],
  ]);
});
