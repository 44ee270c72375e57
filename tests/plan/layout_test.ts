import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import type { Graph } from "../../src/model/graph.ts";
import { fullMask, layOutParameters, placeParameter, takeParameter } from "../../src/plan/layout.ts";

const graph: Graph = {
  name: "odd sizes",
  input: { channels: 3, height: 4, width: 4 },
  layers: [
    { kind: "conv2d", name: "conv", outChannels: 5, kernel: 3, stride: 1, padding: 0, bias: true },
    { kind: "batchnorm2d", name: "norm", epsilon: 1e-5, momentum: 0.1 },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 7, bias: true },
  ],
};
const layout = layOutParameters(graph);
const named = (name: string) => layout.parameters.find(({ fullName }) => fullName === name)!;

Deno.test("layOutParameters() places weights first, then what else is trained, and statistics apart", () => {
  const places = layout.parameters.map(({ fullName, arena, offset, quads, count, prunable }) =>
    [fullName, arena, offset, quads, count, prunable].join(" ")
  );
  assertEquals(places, [
    // 5 filters of 9 taps of 1 quad; 5 numbers in 2 quads; 7 rows of 4 taps of 2 quads.
    "conv.weight values 0 45 135 true",
    "conv.bias values 101 2 5 false",
    "norm.weight values 103 2 5 false",
    "norm.bias values 105 2 5 false",
    "norm.running_mean statistics 0 2 5 false",
    "norm.running_var statistics 2 2 5 false",
    "fc.weight values 45 56 140 true",
    "fc.bias values 107 2 7 false",
  ]);
  assertEquals(
    [layout.quads, layout.windows[0].weightQuads, layout.statisticsQuads, layout.count, layout.prunableCount],
    [109, 101, 4, 135 + 5 + 5 + 5 + 140 + 7, 275],
  );
});

Deno.test("placeParameter() and takeParameter() are each other's inverse and touch nothing else", () => {
  for (const parameter of layout.parameters.filter(({ arena }) => arena === "values")) {
    const arena = new Float32Array(4 * layout.quads).fill(-7);
    const values = Float32Array.from({ length: parameter.count }, (_, i) => i + 1);
    placeParameter(parameter, values, arena);
    assertEquals(takeParameter(parameter, arena), values, parameter.fullName);
    assertEquals(arena.filter((value) => value === -7).length, arena.length - parameter.count);
    const outside = [...arena.subarray(0, 4 * parameter.offset)];
    assert(outside.every((value) => value === -7));
  }
});

Deno.test("placeParameter() puts PyTorch's (row, channel, tap) at (row, tap, quad of channels)", () => {
  const arena = new Float32Array(4 * layout.quads);
  const weight = named("fc.weight");
  placeParameter(weight, Float32Array.from({ length: weight.count }, (_, i) => i), arena);
  // Feature c * 4 + tap of row r, channel c, lies in quad (r * 4 + tap) * 2 + c div 4.
  for (const [row, channel, tap] of [[0, 0, 0], [3, 2, 1], [6, 4, 3]]) {
    const place = 4 * (weight.offset + (row * 4 + tap) * 2 + Math.floor(channel / 4)) + channel % 4;
    assertEquals(arena[place], row * 20 + channel * 4 + tap);
  }
});

Deno.test("placeParameter() refuses another number of values", () => {
  const place = () => placeParameter(named("conv.bias"), [1, 2], new Float32Array(4 * layout.quads));
  assertThrows(place, ShapeError, 'Cannot place parameter "conv.bias": 2 values, expected 5');
});

Deno.test("fullMask() keeps every parameter and nothing of the padding", () => {
  const mask = fullMask(layout);
  assertEquals(mask.length, 4 * layout.quads);
  assertEquals(mask.reduce((sum, keep) => sum + keep, 0), layout.count);
  for (const parameter of layout.parameters.filter(({ arena }) => arena === "values")) {
    assert(takeParameter(parameter, mask).every((keep) => keep === 1), parameter.fullName);
  }
  // The convolution has 3 channels, so the last of each quad is padding.
  assertEquals(mask.subarray(0, 180).filter((_, i) => i % 4 === 3).some((keep) => keep !== 0), false);
});
