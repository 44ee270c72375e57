import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import { parseGraph } from "../../src/model/graph.ts";
import { presetNetwork } from "../../src/model/presets.ts";
import { countRemoved, summarizeModel } from "../../src/model/summary.ts";
import { layOutParameters } from "../../src/plan/layout.ts";

Deno.test("summarizeModel() counts a small network as by hand", () => {
  const layers = [
    { kind: "conv2d", name: "conv", outChannels: 5, kernel: 3, stride: 2, padding: 1, bias: false },
    { kind: "batchnorm2d", name: "norm" },
    { kind: "relu", name: "relu" },
    { kind: "conv2d", name: "mix", outChannels: 5, kernel: 1 },
    { kind: "add", name: "sum", inputs: ["mix", "relu"] },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 4 },
  ];
  const graph = parseGraph({ name: "small", input: { channels: 3, height: 9, width: 7 }, layers }, "a test");
  const summary = summarizeModel(graph);
  // The convolution leaves 5 x 4 pixels.
  assertEquals(
    summary.layers.map(({ name, output, outputText, parameters, statistics, multiplyAdds }) =>
      [name, output, outputText, parameters, statistics, multiplyAdds] as const
    ),
    [
      ["conv", [5, 5, 4], "5 x 5 x 4", 135, 0, 135 * 20],
      ["norm", [5, 5, 4], "5 x 5 x 4", 10, 10, 0],
      ["relu", [5, 5, 4], "5 x 5 x 4", 0, 0, 0],
      ["mix", [5, 5, 4], "5 x 5 x 4", 30, 0, 25 * 20],
      ["sum", [5, 5, 4], "5 x 5 x 4", 0, 0, 0],
      ["flatten", [100], "100", 0, 0, 0],
      ["fc", [4], "4", 404, 0, 400],
    ],
  );
  assertEquals(summary.layers.map(({ inputs }) => inputs.join("+")), [
    ...["input", "conv", "norm", "relu", "mix+relu", "sum", "flatten"],
  ]);
  assertEquals(summary.layers.map(({ takesPrevious }) => takesPrevious), [
    ...[true, true, true, true, false, true, true],
  ]);
  const { parameters, prunable, statistics, multiplyAdds, input } = summary;
  assertEquals([parameters, prunable, statistics, multiplyAdds], [579, 560, 10, 2700 + 500 + 400]);
  assertEquals(input, [3, 9, 7]);
});

Deno.test("summarizeModel() agrees with the layout, and with the multiply-adds of the literature", () => {
  const task = { channels: 3, height: 32, width: 32, classes: 10 };
  for (
    const [name, millions] of [["resnet20", 40.55], ["resnet56", 125.49], ["resnet18-cifar", 555.42], [
      "vgg16-cifar",
      313.2,
    ]] as const
  ) {
    const graph = presetNetwork(name, task), { parameters, prunable, multiplyAdds } = summarizeModel(graph);
    const layout = layOutParameters(graph);
    assertEquals([parameters, prunable], [layout.count, layout.prunableCount]);
    assertEquals(Math.round(multiplyAdds / 1e4) / 100, millions, name);
  }
});

Deno.test("summarizeModel() names the layer that does not fit, and its input", () => {
  const layers = [{ kind: "linear", name: "fc", outFeatures: 4 }];
  const graph = parseGraph({ name: "small", input: { channels: 3, height: 9, width: 7 }, layers }, "a test");
  assertThrows(() => summarizeModel(graph), ShapeError, 'Cannot apply layer "fc": input 3 x 9 x 7');
});

Deno.test("countRemoved() counts weights, not what goes with them", () => {
  const layers = [
    { kind: "conv2d", name: "conv", outChannels: 2, kernel: 1 },
    { kind: "batchnorm2d", name: "norm" },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 4 },
  ];
  const graph = parseGraph({ name: "small", input: { channels: 3, height: 1, width: 1 }, layers }, "a test");
  const masks = { "conv.weight": [0, 0, 0, 1, 1, 1], "conv.bias": [0, 1], "norm.weight": [0, 1] };
  const named = new Map(Object.entries(masks).map(([name, mask]) => [name, Float32Array.from(mask)]));
  assertEquals([countRemoved(graph, named), countRemoved(graph, new Map())], [3, 0]);
});
