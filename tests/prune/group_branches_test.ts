import { assertEquals } from "@std/assert";
import type { Graph } from "../../src/model/graph.ts";
import { findBranches, openBranches } from "../../src/prune/groups/branches.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { graphs } from "../plan/graphs.ts";

const residual = graphs.find(({ name }) => name.startsWith("residual blocks"))!;

const conv = { kind: "conv2d", kernel: 1, stride: 1, padding: 0, bias: true, outChannels: 3 } as const;

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

Deno.test("openBranches() leaves a sum one of its inputs, and counts branches that are gone", () => {
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
  const open = openBranches(graph, () => false), left = open.findAround(["left"])!;
  assertEquals(left, [{ sum: "sum", layers: ["left", "left out"] }]);
  assertEquals(open.findAround(["flatten"]), undefined);
  assertEquals(open.findAround(["left", "right"]), undefined);
  open.close(left);
  open.close(left);
  assertEquals(open.findAround(["left", "left out"]), []);
  assertEquals(open.findAround(["right"]), undefined);
  assertEquals(openBranches(graph, (layer) => layer === "left out").findAround(["right"]), undefined);
});

Deno.test("openBranches() takes the innermost of branches that lie in each other", () => {
  const graph: Graph = {
    name: "nested",
    input: { channels: 3, height: 2, width: 2 },
    layers: [
      { ...conv, name: "stem" },
      { ...conv, name: "outer" },
      { ...conv, name: "inner" },
      { kind: "add", name: "inner sum", inputs: ["inner", "outer"] },
      { kind: "add", name: "outer sum", inputs: ["inner sum", "stem"] },
      { kind: "flatten", name: "flatten" },
      { kind: "linear", name: "logits", outFeatures: 2, bias: false },
    ],
  };
  const open = openBranches(graph, () => false);
  assertEquals(open.findAround(["inner"]), [{ sum: "inner sum", layers: ["inner"] }]);
  assertEquals(open.findAround(["outer"])!.map(({ sum }) => sum), ["outer sum"]);
});
