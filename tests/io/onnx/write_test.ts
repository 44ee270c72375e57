import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../../src/errors.ts";
import { readOnnx } from "../../../src/io/onnx/read.ts";
import { encodeOnnx } from "../../../src/io/onnx/write.ts";
import { type Graph, parseGraph } from "../../../src/model/graph.ts";
import { presetNetwork } from "../../../src/model/presets.ts";
import { layOutParameters } from "../../../src/plan/layout.ts";
import { memoryFiles } from "../../helpers/memory_files.ts";
import { checkLogits, runOnnx, runtimeTest } from "../../helpers/onnx_runtime.ts";

const files = memoryFiles(), size = { height: 8, width: 8 };

/** Numbers that follow from their index, small enough for a deep network. */
function numbers(count: number, scale: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 101 - 50) / 50 * scale);
}

/** A model with numbers of its own, some of its first weight removed. */
function modelOf(graph: Graph) {
  const { parameters: laidOut } = layOutParameters(graph);
  const parameters = new Map(laidOut.map(({ fullName, count, min }) => {
    const values = numbers(count, 0.3);
    return [fullName, min === 0 ? values.map((value) => value + 1) : values] as const;
  }));
  const weight = laidOut.find(({ prunable }) => prunable)!.fullName;
  const mask = Float32Array.from(parameters.get(weight)!, (_, i) => i % 3 === 0 ? 0 : 1);
  parameters.set(weight, parameters.get(weight)!.map((value, i) => value * mask[i]));
  const normalization = { mean: [0.5, 0.25, 0.125], std: [0.25, 0.5, 1] };
  return {
    graph,
    parameters,
    masks: new Map([[weight, mask]]),
    normalization,
    classes: ["a", "b", "c"],
    examples: 7,
  };
}

/** All kinds of layers. */
const every = parseGraph({
  name: "every",
  input: { channels: 3, ...size },
  layers: [
    { kind: "conv2d", name: "conv", outChannels: 4, kernel: [3, 1], padding: [1, 0], bias: false },
    { kind: "batchnorm2d", name: "norm", epsilon: 1e-3, momentum: 0.25 },
    { kind: "relu", name: "relu" },
    { kind: "maxpool2d", name: "max", kernel: 3, stride: 2, padding: 1 },
    { kind: "conv2d", name: "group", outChannels: 6, kernel: 3, padding: 2, dilation: 2, groups: 2 },
    { kind: "silu", name: "silu" },
    { kind: "prelu", name: "slopes", shared: false },
    { kind: "sigmoid", name: "sigmoid" },
    { kind: "globalavgpool2d", name: "squeeze" },
    { kind: "linear", name: "expand", outFeatures: 6 },
    { kind: "hardsigmoid", name: "gate", alpha: 1 / 6, beta: 0.5 },
    { kind: "multiply", name: "excited", inputs: ["sigmoid", "gate"] },
    { kind: "multiply", name: "product", inputs: ["excited", "sigmoid"] },
    { kind: "subsample", name: "short", inputs: ["max"], outChannels: 6, stride: 1 },
    { kind: "add", name: "sum", inputs: ["product", "short"] },
    { kind: "subsample", name: "half", outChannels: 9, stride: 2, before: 3 },
    {
      kind: "conv2d",
      name: "near",
      inputs: ["sum"],
      outChannels: 6,
      kernel: 2,
      paddingAfter: [1, 0],
      padding: [0, 1],
    },
    { kind: "maxpool2d", name: "over", kernel: 3, stride: 2, padding: 0, paddingAfter: 1 },
    { kind: "avgpool2d", name: "inside", kernel: 3, stride: 1, padding: 1, countsPadding: false },
    { kind: "avgpool2d", name: "mean", inputs: ["sum"], kernel: 2, stride: 2 },
    { kind: "concat", name: "joined", inputs: ["half", "mean", "inside"] },
    { kind: "shuffle", name: "shuffle", groups: 3 },
    { kind: "slice", name: "part", first: 2, outChannels: 9 },
    { kind: "leakyrelu", name: "leaky", negativeSlope: 0.2 },
    { kind: "flatten", name: "flat" },
    { kind: "linear", name: "fc1", outFeatures: 5 },
    { kind: "gelu", name: "gelu", approximate: "none" },
    { kind: "dropout", name: "dropout", p: 0.25 },
    { kind: "gelu", name: "tanh", approximate: "tanh" },
    { kind: "prelu", name: "own slopes", shared: false },
    { kind: "prelu", name: "slope", shared: true },
    { kind: "clip", name: "clip", min: -0.1, max: 0.3 },
    { kind: "elu", name: "elu", alpha: 0.7 },
    { kind: "hardsigmoid", name: "hardsigmoid", alpha: 1 / 6, beta: 0.4 },
    { kind: "hardswish", name: "hardswish" },
    { kind: "mish", name: "mish" },
    { kind: "tanh", name: "curve" },
    { kind: "linear", name: "fc2", outFeatures: 3 },
  ],
}, "every");

const pooled = parseGraph({
  name: "pooled",
  input: { channels: 3, ...size },
  output: "softmax",
  layers: [
    { kind: "conv2d", name: "conv", outChannels: 4, kernel: 3 },
    { kind: "globalavgpool2d", name: "pool" },
    { kind: "linear", name: "fc", outFeatures: 3 },
  ],
}, "pooled");

const resnet = presetNetwork("resnet20", { channels: 3, ...size, classes: 3 });

for (const graph of [every, pooled, resnet]) {
  Deno.test(`encodeOnnx() writes ${graph.name} so that it is read as the same model, and written the same`, async () => {
    const model = modelOf(graph), bytes = encodeOnnx(model);
    const read = await readOnnx(bytes, { name: "a.onnx", size, files });
    assertEquals(read.graph, parseGraph(graph, ""));
    const valueNames = { input: "input", output: "logits" };
    assertEquals(read, { ...model, valueNames, graph: parseGraph(graph, "") });
    assertEquals(encodeOnnx(read), bytes);
  });

  Deno.test({
    name: `encodeOnnx() writes ${graph.name} so that onnxruntime gives winnow's outputs`,
    ...runtimeTest,
    async fn() {
      const bytes = encodeOnnx(modelOf(graph)), x = { shape: [2, 3, 8, 8], values: numbers(2 * 3 * 64, 1) };
      const y = await runOnnx(bytes, x);
      assertEquals([y.shape, y.names], [[2, 3], ["input", "logits"]]);
      const checks = await checkLogits({ model: "a.onnx", bytes }, x, y);
      assertEquals(checks.map(({ passed }) => passed), [true], JSON.stringify(checks));
    },
  });
}

Deno.test("encodeOnnx() takes names of the images and the output, unless something else has them", async () => {
  const namesBy = async (input: string, output: string) => {
    const bytes = encodeOnnx({ ...modelOf(pooled), valueNames: { input, output } });
    return (await readOnnx(bytes, { name: "a.onnx", size, files })).valueNames;
  };
  const names = { input: "input.1", output: "495" };
  assertEquals(await namesBy("input.1", "495"), names);
  const own = { input: "input", output: "logits" };
  assertEquals(await namesBy("conv.weight", "conv/output"), own);
  assertEquals(await namesBy("logits", "input"), own);
  assertEquals(await namesBy("", ""), own);
});

Deno.test("encodeOnnx() refuses layers of a graph's own", () => {
  const layers = [{ kind: "acme/own", name: "own" }, ...pooled.layers] as Graph["layers"];
  assertThrows(
    () => encodeOnnx({ ...modelOf(pooled), graph: { ...pooled, layers } }),
    ConfigError,
    "acme/own",
  );
});
