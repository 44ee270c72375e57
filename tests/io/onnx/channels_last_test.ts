/** Networks with their channels in the last dimension, as TensorFlow and Keras have them: read, and held against onnxruntime. */
import { assertEquals, assertRejects } from "@std/assert";
import { FormatError } from "../../../src/errors.ts";
import { readModelInput } from "../../../src/api/model_input.ts";
import { memoryFiles } from "../../helpers/memory_files.ts";
import { readModel, withoutNames } from "../../helpers/onnx_middle.ts";
import { integers, onnxFile, type TestModel, type TestNode, testTensor } from "../../helpers/onnx_models.ts";
import { checkLogits, runOnnx, runtimeTest } from "../../helpers/onnx_runtime.ts";

const toFirst = { perm: [0, 3, 1, 2] }, toLast = { perm: [0, 2, 3, 1] };

/** A convolution and pooling of images (N, 6, 8, 3), whose map (N, 5, 3, 4) the nodes after it read as `map`. */
const network = (nodes: readonly TestNode[], tensors: TestModel["tensors"] = {}): TestModel => ({
  input: ["N", 6, 8, 3],
  nodes: [
    { op: "Transpose", inputs: ["x"], outputs: ["turned"], attributes: toFirst },
    { op: "Conv", inputs: ["turned", "w", "b"], outputs: ["conv"], attributes: { pads: [1, 1, 1, 1] } },
    { op: "Relu", inputs: ["conv"], outputs: ["relu"] },
    {
      op: "MaxPool",
      inputs: ["relu"],
      outputs: ["pool"],
      attributes: { kernel_shape: [2, 2], strides: [2, 2] },
    },
    { op: "Transpose", inputs: ["pool"], outputs: ["map"], attributes: toLast },
    ...nodes,
  ],
  tensors: {
    w: testTensor(5, 3, 3, 3),
    b: testTensor(5),
    dense: testTensor(60, 2),
    few: testTensor(5, 2),
    ...tensors,
  },
});

const dense = (from: string, weight = "dense"): TestNode => ({
  op: "MatMul",
  inputs: [from, weight],
  outputs: ["y"],
});
const reshape = { op: "Reshape", inputs: ["map", "sizes"], outputs: ["flat"] };
const mean = (keepdims: number): TestNode => ({
  op: "ReduceMean",
  inputs: ["map"],
  outputs: ["mean"],
  attributes: { axes: [1, 2], keepdims },
});

const networks: Readonly<Record<string, TestModel>> = {
  "a flattened map before a linear layer": network([reshape, dense("flat")], { sizes: integers(-1, 60) }),
  "a Flatten before a Gemm": network([
    { op: "Flatten", inputs: ["map"], outputs: ["flat"] },
    {
      op: "Gemm",
      inputs: ["flat", "rows"],
      outputs: ["y"],
      attributes: { transB: 1 },
      floats: { alpha: 0.5 },
    },
  ], { rows: testTensor(2, 60) }),
  "a mean over the pixels": network([mean(0), dense("mean", "few")]),
  "a mean that keeps its dimensions": network([
    mean(1),
    { op: "Squeeze", inputs: ["mean", "axes"], outputs: ["flat"] },
    dense("flat", "few"),
  ], { axes: integers(1, 2) }),
  "channels turned back and forth": network([
    { op: "Transpose", inputs: ["map"], outputs: ["again"], attributes: toFirst },
    { op: "Relu", inputs: ["again"], outputs: ["sum"] },
    { op: "GlobalAveragePool", inputs: ["sum"], outputs: ["pooled"] },
    { op: "Transpose", inputs: ["pooled"], outputs: ["last"], attributes: toLast },
    { op: "Reshape", inputs: ["last", "sizes"], outputs: ["flat"] },
    dense("flat", "few"),
  ], { sizes: integers(0, -1) }),
};

for (const [name, model] of Object.entries(networks)) {
  Deno.test({
    name: `readOnnx() reads ${name}, of channels in the last dimension, as onnxruntime does`,
    ...runtimeTest,
    async fn() {
      const bytes = onnxFile(model), area = 6 * 8, count = 2;
      const values = Float32Array.from({ length: count * area * 3 }, (_, i) => ((i * 7919) % 101 - 50) / 50);
      const y = await runOnnx(bytes, { shape: [count, 6, 8, 3], values });
      // The same images with their channels first.
      const x = values.map((_, i) => {
        const pixel = i % area, channel = Math.floor(i / area) % 3, image = Math.floor(i / area / 3);
        return values[(image * area + pixel) * 3 + channel];
      });
      const checks = await checkLogits(
        { model: "last.onnx", bytes },
        { shape: [count, 3, 6, 8], values: x },
        y,
      );
      assertEquals(checks.map(({ passed }) => passed), [true], JSON.stringify(checks));
    },
  });
}

Deno.test("readOnnx() names the images of channels in the last dimension no longer, and tells their size", async () => {
  const model = network([mean(0), dense("mean", "few")]), { graph, valueNames } = await readModel(model);
  assertEquals([graph.input, valueNames], [{ channels: 3, height: 6, width: 8 }, undefined]);
  assertEquals(withoutNames(graph).map(({ kind }) => kind), [
    "conv2d",
    "relu",
    "maxpool2d",
    "globalavgpool2d",
    "linear",
  ]);
  const files = memoryFiles({ "last.onnx": onnxFile(model) });
  assertEquals(await readModelInput({ model: "last.onnx" }, files), { channels: 3, height: 6, width: 8 });
});

Deno.test("readOnnx() refuses what it does not compute with channels in the last dimension", async () => {
  const relu = { op: "Relu", inputs: ["map"], outputs: ["r"] };
  const refused: readonly (readonly TestNode[])[] = [
    [relu, { op: "Flatten", inputs: ["r"], outputs: ["flat"] }, dense("flat")],
    [reshape, { op: "Relu", inputs: ["flat"], outputs: ["r"] }, dense("r")],
    [{ op: "Flatten", inputs: ["map"], outputs: ["y"] }],
    [{ op: "Reshape", inputs: ["map", "other"], outputs: ["y"] }],
  ];
  for (const nodes of refused) {
    const model = network(nodes, { sizes: integers(0, 60), other: integers(0, 4, 3, 5) });
    await assertRejects(() => readModel(model), FormatError, "channels in the last dimension");
  }
  const other = network([{ ...mean(0), attributes: { axes: [2, 3] } }, dense("mean", "few")]);
  await assertRejects(() => readModel(other), FormatError, "a mean over axes 2, 3");
});
