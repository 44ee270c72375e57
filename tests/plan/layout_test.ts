import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../src/errors.ts";
import { type Graph, imagesName } from "../../src/model/graph.ts";
import { refText } from "../../src/kernels/buffer_ref.ts";
import { defaultChooser } from "../../src/kernels/gemm.ts";
import { lowerPlan } from "../../src/plan/lower.ts";
import { sgd } from "../../src/plan/optimizer.ts";
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

Deno.test("layOutParameters() cuts the arena into windows between layers, weights first in each", () => {
  // The convolution takes 45 + 2 quads, its norm 4, the linear layer 56 + 2.
  const cut = layOutParameters(graph, 60);
  assertEquals(cut.windows, [
    { first: 0, quads: 51, weightQuads: 45, isWhole: false },
    { first: 64, quads: 58, weightQuads: 56, isWhole: false },
  ]);
  assertEquals([cut.quads, cut.count, cut.prunableCount], [122, layout.count, layout.prunableCount]);
  assertEquals(
    cut.parameters.map(({ fullName, window, offset, first, ordinal }) =>
      [fullName, window.first, offset, first, ordinal].join(" ")
    ),
    [
      "conv.weight 0 0 0 0",
      "conv.bias 0 45 45 101",
      "norm.weight 0 47 47 103",
      "norm.bias 0 49 49 105",
      "norm.running_mean 0 0 0 0",
      "norm.running_var 0 2 2 2",
      "fc.weight 64 0 64 45",
      "fc.bias 64 56 120 107",
    ],
  );
  // As much as fits lies in one window, as if there were no limit.
  const { bindingQuads: _, ...whole } = layout;
  const { bindingQuads: limit, ...fitting } = layOutParameters(graph, 109);
  assertEquals([limit, fitting], [109, whole]);
  assertEquals(layOutParameters(graph, 108).windows.length, 2);
});

Deno.test("layOutParameters() keeps a norm with its convolution, whatever lies between", () => {
  const [conv, norm, ...rest] = graph.layers;
  const layers = [
    conv,
    { ...conv, name: "other", inputs: [imagesName] },
    { ...norm, inputs: ["conv"] },
    { kind: "add", name: "sum", inputs: ["norm", "other"] },
    ...rest,
  ] as Graph["layers"];
  const cut = layOutParameters({ ...graph, layers }, 60);
  const windowOf = (name: string) => cut.parameters.find(({ fullName }) => fullName === name)!.window.first;
  assertEquals(["conv.weight", "norm.bias", "other.bias", "fc.weight"].map(windowOf), [0, 0, 64, 112]);
});

Deno.test("layOutParameters() refuses a layer, and statistics, that are larger than a window", () => {
  assertThrows(
    () => layOutParameters(graph, 57),
    ShapeError,
    'Cannot place layer "fc": its parameters take 928 bytes, expected at most 912',
  );
  assertThrows(() => layOutParameters(graph, 3), ShapeError, 'Cannot place statistics of "odd sizes"');
});

Deno.test("lowerPlan() binds the window of each layer, and goes over all parameters window by window", () => {
  const cut = layOutParameters(graph, 60), choose = defaultChooser("storage");
  const plan = lowerPlan(graph, {
    ...{ layout: cut, batch: 4, mode: "train", choose, averages: true },
    optimizer: sgd({ decayBias: false, clipNorm: 1 }),
  });
  const arenas = plan.dispatches.flatMap(({ label, bindings }) =>
    Object.values(bindings).flatMap((ref) => "arena" in ref ? [{ label, text: refText(ref) }] : [])
  ).filter(({ text }) => !text.startsWith("arena statistics"));
  const ranges = ["[0..51)", "[64..122)"];
  for (const { label, text } of arenas) {
    const wanted = /^(conv|norm)/.test(label)
      ? ranges.slice(0, 1)
      : label.startsWith("fc")
      ? ranges.slice(1)
      : ranges;
    assert(wanted.some((range) => text.endsWith(range)), `${label}: ${text}`);
  }
  const steps = plan.dispatches.filter(({ label }) => label === "sgd step");
  assertEquals(steps.map(({ params }) => [params.quads, params.decayed_quads]), [[51, 45], [58, 56]]);
  // Each window is one row of 64 quads, which a chunk of 64 sums takes.
  const sums = plan.dispatches.filter(({ label }) => label === "gradient norm, chunks")
    .map(({ bindings }) => refText(bindings.sums));
  assertEquals(sums, ["tensor gradient squares[0..64)", "tensor gradient squares[64..128)"]);
});
