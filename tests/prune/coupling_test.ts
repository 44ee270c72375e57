/** Holds the coupling of channels against what is worked out by hand. */
import { assertEquals } from "@std/assert";
import { type Graph, parseGraph } from "../../src/model/graph.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { type ChannelSlice, coupleChannels } from "../../src/prune/groups/coupling.ts";

/** Slices as text, such as `conv1.weight row 3`. */
function slicesText(slices: readonly ChannelSlice[]): readonly string[] {
  return slices.map(({ parameter, axis, index }) => `${parameter} ${axis} ${index}`);
}

/** A graph of layers that take images 2 x 8 x 8. */
function graphOf(...layers: readonly Record<string, unknown>[]): Graph {
  return parseGraph({ name: "hand", input: { channels: 2, height: 8, width: 8 }, layers }, "hand");
}

const conv = { kind: "conv2d", kernel: 3, padding: 1 };

Deno.test("coupleChannels() gives each inner channel of a chain a group; images and logits stay", () => {
  const graph = seedNetwork({ channels: 3, height: 8, width: 8, classes: 4 }, { conv1: 3, conv2: 5, fc1: 2 });
  const { groups, sets, groupOf } = coupleChannels(graph);
  assertEquals(groups.length, 3 + 5 + 2);
  assertEquals(groupOf[groupOf.length - 1], [-1, -1, -1, -1]);
  assertEquals(sets.map(({ groups }) => groups), [[0, 1, 2], [3, 4, 5, 6, 7], [8, 9]]);
  assertEquals([...sets[1].layers], [["conv2", 1], ["relu2", 1], ["pool2", 1], ["flatten", 1]]);
  assertEquals(slicesText(groups[1].producers), ["conv1.weight row 1", "conv1.bias channel 1"]);
  assertEquals(slicesText(groups[1].consumers), ["conv2.weight channel 1"]);
  // A channel of the map before the flatten is one channel of fc1 with all its taps.
  assertEquals(slicesText(groups[7].consumers), ["fc1.weight channel 4"]);
});

Deno.test("coupleChannels() unites what sums add, across stages that a padded shortcut joins", () => {
  const graph = graphOf(
    { ...conv, name: "stem", outChannels: 2 },
    { kind: "batchnorm2d", name: "norm" },
    { ...conv, name: "inner", outChannels: 3 },
    { ...conv, name: "outer", outChannels: 2 },
    { kind: "add", name: "sum", inputs: ["outer", "norm"] },
    { kind: "subsample", name: "shortcut", outChannels: 5, stride: 2 },
    { ...conv, name: "wide", inputs: ["sum"], outChannels: 5, stride: 2 },
    { kind: "add", name: "wide sum", inputs: ["wide", "shortcut"] },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "logits", outFeatures: 2 },
  );
  const { groups, sets, groupOf } = coupleChannels(graph);
  // Two channels go through all, three lie within the block, three are zeros in the shortcut: one before, two behind.
  assertEquals(groupOf[0], [0, 1]);
  assertEquals(groupOf[2], [2, 3, 4]);
  assertEquals(groupOf[5], [5, 0, 1, 6, 7]);
  assertEquals(groupOf[6], groupOf[5]);
  assertEquals(sets.map(({ groups }) => groups), [[0, 1], [2, 3, 4], [5, 6, 7]]);
  assertEquals(slicesText(groups[1].producers), [
    "stem.weight row 1",
    "stem.bias channel 1",
    ...["weight", "bias", "running_mean", "running_var"].map((name) => `norm.${name} channel 1`),
    "outer.weight row 1",
    "outer.bias channel 1",
    "wide.weight row 2",
    "wide.bias channel 2",
  ]);
  const consumers = ["inner.weight channel 1", "wide.weight channel 1", "logits.weight channel 2"];
  assertEquals(slicesText(groups[1].consumers), consumers);
  assertEquals(slicesText(groups[6].producers), ["wide.weight row 3", "wide.bias channel 3"]);
});

Deno.test("coupleChannels() fixes what is added to the images or to the logits", () => {
  const graph = graphOf(
    { ...conv, name: "first", outChannels: 2 },
    { kind: "add", name: "sum", inputs: ["first", "input"] },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "hidden", outFeatures: 3 },
    { kind: "linear", name: "square", outFeatures: 3 },
    { kind: "add", name: "logits", inputs: ["square", "hidden"] },
  );
  const { groups, sets } = coupleChannels(graph);
  assertEquals([groups, sets], [[], []]);
});

Deno.test("coupleChannels() passes channels through depthwise filters, which belong to them", () => {
  const graph = graphOf(
    { ...conv, name: "wide", outChannels: 3 },
    { ...conv, name: "depthwise", outChannels: 6, groups: 3 },
    { ...conv, name: "narrow", outChannels: 2, bias: false },
    { kind: "globalavgpool2d", name: "pool" },
    { kind: "linear", name: "logits", outFeatures: 2 },
  );
  const { groups, groupOf } = coupleChannels(graph);
  assertEquals(groupOf[1], [0, 0, 1, 1, 2, 2]);
  assertEquals(slicesText(groups[1].producers), [
    ...["wide.weight row 1", "wide.bias channel 1"],
    ...[
      "depthwise.weight row 2",
      "depthwise.weight row 3",
      "depthwise.bias channel 2",
      "depthwise.bias channel 3",
    ],
  ]);
  assertEquals(slicesText(groups[1].consumers), ["narrow.weight channel 2", "narrow.weight channel 3"]);
});

Deno.test("coupleChannels() couples one position of every group of a grouped convolution", () => {
  const graph = graphOf(
    { ...conv, name: "wide", outChannels: 6 },
    { ...conv, name: "grouped", outChannels: 4, groups: 2 },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "logits", outFeatures: 2 },
  );
  const { groups, groupOf } = coupleChannels(graph);
  assertEquals(groupOf.slice(0, 2), [[0, 1, 2, 0, 1, 2], [3, 4, 3, 4]]);
  // The weight of a grouped convolution counts the channels of a group.
  assertEquals(slicesText(groups[2].consumers), ["grouped.weight channel 2"]);
  assertEquals(slicesText(groups[3].producers), [
    ...["grouped.weight row 0", "grouped.weight row 2", "grouped.bias channel 0", "grouped.bias channel 2"],
  ]);
});
