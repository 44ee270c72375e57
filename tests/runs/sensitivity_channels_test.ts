import { assert, assertEquals } from "@std/assert";
import { runSensitivity } from "../../src/runs/sensitivity.ts";
import { computeTarget, scanUnits } from "../../src/runs/scan_units.ts";
import { formatSensitivity } from "../../src/text/compare.ts";
import { configOf } from "../helpers/config.ts";
import type { Graph } from "../../src/model/graph.ts";
import { presetNetwork } from "../../src/model/presets.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyClasses, tinyDataset, tinySize } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const channels = { granularity: "channel" } as const;
const unitsOf = (graph: Graph, protect?: readonly string[]) =>
  scanUnits({ graph, layout: layOutParameters(graph) }, { ...channels, ...(protect ? { protect } : {}) });

/** A stem, and a residual block whose inner layers have 3 channels. */
const residual: Graph = {
  name: "residual",
  input: { channels: 1, height: tinySize, width: tinySize },
  layers: [
    { kind: "conv2d", name: "stem", outChannels: 4, kernel: 3, stride: 1, padding: 1, bias: false },
    { kind: "batchnorm2d", name: "bn", epsilon: 1e-5, momentum: 0.1 },
    { kind: "relu", name: "relu" },
    { kind: "conv2d", name: "inner", outChannels: 3, kernel: 3, stride: 1, padding: 1, bias: false },
    { kind: "relu", name: "inner_relu" },
    { kind: "conv2d", name: "outer", outChannels: 4, kernel: 3, stride: 1, padding: 1, bias: false },
    { kind: "add", name: "sum", inputs: ["outer", "relu"] },
    { kind: "globalavgpool2d", name: "average" },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: tinyClasses, bias: true },
  ],
};

Deno.test("scanUnits() takes each coupled set of channels once, with all weights that go with them", () => {
  assertEquals(unitsOf(tinyGraph()).map(({ name, weights }) => [name, weights]), [
    // Rows of a layer, and columns of the next.
    ["conv1", 36 + 180],
    ["conv2", 180 + 140],
    ["fc1", 140 + 28],
  ]);
  assertEquals(unitsOf(residual).map(({ name, weights }) => [name, weights]), [
    ["stem + outer", 4 * 9 + 4 * 3 * 9 + 3 * 4 * 9 + 4 * 4],
    ["inner", 3 * 4 * 9 + 4 * 3 * 9],
  ]);
  // A protected layer keeps its filters and its inputs.
  assertEquals(unitsOf(residual, ["stem"]).map(({ name }) => name), ["inner"]);
  assertEquals(unitsOf(residual, ["outer"]).map(({ name }) => name), []);
  assertEquals(unitsOf(residual, ["fc"]).map(({ name }) => name), ["inner"]);
  assertEquals(unitsOf(tinyGraph(), ["conv2"]).map(({ name }) => name), ["fc1"]);
  const resnet = presetNetwork("resnet20", { channels: 3, height: 8, width: 8, classes: 10 });
  const units = unitsOf(resnet);
  // The stem's 16 channels run through all blocks, the 16 that join them behind through the last two thirds, 32 through
  // the last; and each of nine blocks has its own.
  assertEquals(units.map(({ options: { madeBy } }) => madeBy!.length).toSorted((a, b) => b - a), [
    ...[10, 6, 3],
    ...Array(9).fill(1),
  ]);
  assertEquals(new Set(units.map(({ name }) => name)).size, units.length);
});

Deno.test("computeTarget() counts what is gone elsewhere, and what a unit lacks already", () => {
  const graph = tinyGraph(),
    masks = new Map([["conv1.weight", Float32Array.from({ length: 36 }, (_, i) => i % 2)]]);
  const start = { graph, layout: layOutParameters(graph), masks };
  const [conv1, conv2, fc1] = scanUnits(start, channels);
  assertEquals([conv1.removed, conv2.removed, fc1.removed], [18, 0, 0]);
  assertEquals([0, 0.5].map((sparsity) => computeTarget(conv1, sparsity, 18)), [18, 108]);
  assertEquals(computeTarget(conv2, 0.5, 18), 18 + 160);
});

Deno.test("runSensitivity() prunes each coupled set of channels alone, and reports a line a set", async () => {
  const config = { epochs: 2, batch: 16, learningRate: 0.05, validation: 16, criterion: "magnitude" };
  const report = await runSensitivity(await deviceOf(), {
    config: configOf({ ...config, granularity: "channel" }),
    ...{ dataset: tinyDataset(), graph: residual, sparsities: [0.5, 0.9], versions: { winnow: "a test" } },
  });
  const [stem, inner] = unitsOf(residual);
  assertEquals(report.cells.map(({ layer, sparsity, removed }) => [layer, sparsity, removed]), [
    ["stem + outer", 0.5, stem.weights / 2],
    // Two of three channels; the third takes the block with it.
    ["inner", 0.5, inner.weights * 2 / 3],
    ["inner", 0.9, inner.weights],
  ]);
  assertEquals(new Set(report.cells.map(({ loss }) => loss)).size, 3);
  const text = formatSensitivity(report);
  assert(
    /accuracy with the channels that some layers make pruned alone, % \+- standard error$/m.test(text),
    text,
  );
  assert(/^stem \+ outer +\d+\.\d \+- \d+\.\d +-$/m.test(text), text);
  const long = formatSensitivity({ ...report, cells: [{ ...report.cells[0], layer: "a + b + c + d" }] });
  assert(/^a \+ b \+ 2 more/m.test(long), long);
});
