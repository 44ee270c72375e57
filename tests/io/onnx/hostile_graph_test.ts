/** Graphs that are wrong on purpose, though each message is whole: a typed error names the node, in bounded time and memory. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, TensorProto_DataType } from "onnx-buf";
import { isWinnowError } from "../../../src/errors.ts";
import { readOnnx } from "../../../src/io/onnx/read.ts";
import { around, readModel, readOptions } from "../../helpers/onnx_middle.ts";
import {
  integers,
  modelMessage,
  onnxFile,
  scalar,
  type TestModel,
  type TestNode,
  testTensor,
} from "../../helpers/onnx_models.ts";

/** Checks that a network is refused by an error for users that says something. */
async function checkRefused(model: TestModel | Uint8Array, ...words: readonly string[]): Promise<void> {
  const bytes = model instanceof Uint8Array ? model : onnxFile(model);
  const error = await assertRejects(() => readOnnx(bytes, readOptions), Error);
  if (!isWinnowError(error)) throw error;
  for (const word of words) assertStringIncludes(error.message, word);
}

const node = (op: string, own: Partial<TestNode> = {}): TestNode => ({
  op,
  inputs: ["conv"],
  outputs: ["y"],
  ...own,
});

/** Nodes that make a weight of one tensor, for the layer `fc`. */
const ofWeight = (op: string, inputs: readonly string[], own: Partial<TestNode> = {}): TestModel => {
  const middle = around([node("Relu")], { t: testTensor(2, 4), two: integers(0, 0), flat: testTensor(8) });
  const gemm = { ...middle.nodes.at(-1)!, inputs: ["flattened", "made"] };
  const [conv, relu, pool] = middle.nodes;
  const flatten = { op: "Flatten", inputs: ["pooled"], outputs: ["flattened"] };
  return { ...middle, nodes: [{ op, inputs, outputs: ["made"], ...own }, conv, relu, pool, flatten, gemm] };
};

Deno.test("readOnnx() refuses weights that are not finite, integers, or a number for each image", async () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    const weight = { shape: [2, 4], floats: [1, 2, value, 4, 5, 6, 7, 8] };
    await checkRefused(around([node("Relu")], { "fc.weight": weight }), "fc.weight", "index [0, 2]");
  }
  const message = modelMessage(around([node("Relu")])), weight = message.graph!.initializer[0];
  Object.assign(weight, {
    dataType: TensorProto_DataType.INT32,
    rawData: new Uint8Array(Int32Array.from({ length: 108 }, (_, i) => i).buffer),
  });
  await checkRefused(
    toBinary(ModelProtoSchema, message),
    "node 0 (Conv)",
    "integers in input 1",
    "expected floats",
  );
  // Two rows of one number: one for each image of a batch of two, not one for each class.
  const model = around([node("Relu")], { rows: testTensor(2, 1) });
  const gemm = { ...model.nodes.at(-1)!, inputs: ["flat", "fc.weight", "rows"] };
  await checkRefused(
    { ...model, nodes: [...model.nodes.slice(0, -1), gemm] },
    "numbers of (2, 1) in input 2",
  );
});

Deno.test("readOnnx() refuses inputs that are missing, computed or of more dimensions than features", async () => {
  await checkRefused(around([node("Conv")]), "node 1 (Conv)", "it has no input 1");
  await checkRefused(around([node("Conv", { inputs: ["conv", ""] })]), "node 1 (Conv)", "it has no input 1");
  await checkRefused(around([node("Conv", { inputs: ["conv", "conv"] })]), "input 1 is computed");
  await checkRefused(around([node("BatchNormalization")]), "it has no input 1");
  await checkRefused(around([node("Relu", { inputs: [] })]), "it has no input 0");
  const deep = {
    one: { shape: [1, 1, 1, 1, 1], floats: [2] },
    wide: { shape: [1, 1, 4, 1, 1], floats: [1, 2, 3, 4] },
  };
  for (const name of ["one", "wide"]) {
    await checkRefused(around([node("Mul", { inputs: ["conv", name] })], deep), "numbers of other sizes");
  }
});

Deno.test("readOnnx() refuses axes that are none, that are there twice, and that of the batch", async () => {
  const wrong: readonly TestNode[] = [
    node("Squeeze", { inputs: ["pooled1"], attributes: { axes: [0] } }),
    node("Squeeze", { inputs: ["pooled1"], attributes: { axes: [2, 2] } }),
    node("Squeeze", { inputs: ["pooled1"], attributes: { axes: [9] } }),
    node("Unsqueeze", { inputs: ["vector"], attributes: { axes: [0, 3] } }),
    node("Unsqueeze", { inputs: ["vector"], attributes: { axes: [2, 2] } }),
  ];
  const before = [
    node("GlobalAveragePool", { outputs: ["pooled1"] }),
    node("Flatten", { inputs: ["pooled1"], outputs: ["vector"] }),
  ];
  for (const own of wrong) {
    await checkRefused({ ...around([...before, own]), opset: 11 }, `node 3 (${own.op})`, "each axis once");
  }
  const split = node("Split", { outputs: ["y", "z"], attributes: { axis: 1, num_outputs: 3 } });
  await checkRefused(around([split]), "node 1 (Split)", "all channels along axis 1");
  await checkRefused(
    ofWeight("Unsqueeze", ["flat"], { attributes: { axes: [1, -2] } }),
    "axes 1, -2, expected each axis once",
  );
  await checkRefused(ofWeight("Flatten", ["t"], { attributes: { axis: 5 } }), "axis 5 of 2 dimensions");
});

Deno.test("readOnnx() computes no numbers without end", async () => {
  // A tensor of many dimensions that is turned, and one that is scaled layer after layer.
  const ones = Array<number>(60_000).fill(1),
    many = { shape: [2 ** 13, ...ones], floats: Array<number>(2 ** 13).fill(1) };
  const turned = ofWeight("Transpose", ["many"]);
  await checkRefused(
    { ...turned, tensors: { ...turned.tensors, many } },
    "node 0 (Transpose)",
    "computed numbers",
  );
  const factors = Array.from(
    { length: 700 },
    (_, i) => node("Mul", { inputs: [i ? `m${i - 1}` : "wide", "two"], outputs: [`m${i}`] }),
  );
  const scaled: TestModel = {
    nodes: [
      { op: "Conv", inputs: ["x", "w"], outputs: ["wide"] },
      ...factors,
      { op: "GlobalAveragePool", inputs: ["m699"], outputs: ["logits"] },
    ],
    tensors: { w: { shape: [2 ** 17, 3, 1, 1], floats: Array<number>(3 * 2 ** 17).fill(1) }, two: scalar(2) },
  };
  await checkRefused(scaled, "computed numbers up to this node");
});

Deno.test("readOnnx() holds a tensor once, however many layers read it, and seeks the last node once", async () => {
  const conv = (i: number) => ({
    op: "Conv",
    inputs: [i ? `c${i - 1}` : "x", "w"],
    outputs: [`c${i}`],
    attributes: { pads: [2, 2, 1, 1] },
  });
  const convs = Array.from({ length: 5000 }, (_, i) => conv(i)), images = ["N", 64, 8, 8];
  const message = modelMessage({ nodes: convs, tensors: { w: testTensor(64, 64, 4, 4) }, input: images });
  // 16-bit floats, of which each read would make new ones: 5,000 times 256 KiB.
  const { FLOAT16: dataType } = TensorProto_DataType;
  Object.assign(message.graph!.initializer[0], { dataType, rawData: new Uint8Array(2 * 64 * 64 * 16) });
  const bytes = toBinary(ModelProtoSchema, message);
  const { parameters } = await readOnnx(bytes, readOptions);
  const distinct = new Set([...parameters.values()].map(({ buffer }) => buffer));
  assertEquals(distinct.size, 1);
  const chain = (op: string, count: number, from: string, to: string) =>
    Array.from(
      { length: count },
      (_, i) => node(op, { inputs: [i ? `${to}${i - 1}` : from], outputs: [`${to}${i}`] }),
    );
  const model = around([...chain("Sigmoid", 5000, "conv", "s"), node("Relu", { inputs: ["s4999"] })]);
  const nodes = [...model.nodes, ...chain("Identity", 60_000, "logits", "v")];
  const { graph } = await readModel({ ...model, nodes, output: "v59999" });
  assertEquals(graph.layers.length, 5004);
});
