/** Operators in the forms of early and late versions, and attributes that change what they compute. */
import { assertEquals, assertRejects } from "@std/assert";
import { create, toBinary } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType, AttributeProtoSchema, ModelProtoSchema } from "onnx-buf";
import { FormatError } from "../../../src/errors.ts";
import { readOnnx } from "../../../src/io/onnx/read.ts";
import { around, readModel, readOptions, withoutNames } from "../../helpers/onnx_middle.ts";
import {
  integers,
  modelMessage,
  scalar,
  type TestModel,
  type TestNode,
  testTensor,
} from "../../helpers/onnx_models.ts";

/** The layers that nodes in the middle of a network become, in a version of the operators. */
const readIn = async (opset: number, nodes: readonly TestNode[], tensors: TestModel["tensors"] = {}) =>
  withoutNames((await readModel({ ...around(nodes, tensors), opset })).graph).slice(1, -2);

/** The middle of a network by one node from `conv` to `y`. */
const node = (op: string, own: Partial<TestNode> = {}): TestNode => ({
  op,
  inputs: ["conv"],
  outputs: ["y"],
  ...own,
});

Deno.test("readOnnx() reads versions 1 to 24, and refuses later ones", async () => {
  for (const opset of [1, 6, 7, 24]) assertEquals(await readIn(opset, [node("Relu")]), [{ kind: "relu" }]);
  await assertRejects(
    () => readIn(25, [node("Relu")]),
    FormatError,
    "of version 25, expected version 1 to 24",
  );
});

Deno.test("readOnnx() aligns shapes by an axis before version 7, and at their ends since", async () => {
  const bias = { b: testTensor(4) };
  const add = node("Add", { inputs: ["conv", "b"], attributes: { broadcast: 1, axis: 1 } });
  const { parameters } = await readModel({ ...around([add], bias), opset: 6 });
  const sum = testTensor(4).floats!.map((value) => 2 * value);
  assertEquals([...parameters.get("conv.bias")!], sum);
  await assertRejects(() => readIn(7, [add], bias), FormatError, 'it has an attribute "broadcast"');
  const plain = node("Add", { inputs: ["conv", "b"], attributes: { broadcast: 1 } });
  await assertRejects(() => readIn(6, [plain], bias), FormatError, "numbers of other sizes");
  const prelu = node("PRelu", { inputs: ["conv", "b"] });
  assertEquals(await readIn(6, [prelu], bias), [{ kind: "prelu", shared: false }]);
  await assertRejects(() => readIn(9, [prelu], bias), FormatError, "numbers of other sizes");
});

Deno.test("readOnnx() reads sizes, bounds and padding that were attributes", async () => {
  const reshape = node("Reshape", { attributes: { shape: [0, 4, 8, 8] } });
  assertEquals(await readIn(1, [reshape]), []);
  const clip = node("Clip", { floats: { min: 0, max: Math.fround(3.4028235e38) } });
  assertEquals(await readIn(6, [clip]), [{ kind: "relu" }]);
  const pad = (floats: Readonly<Record<string, number>>) => [
    node("Pad", { outputs: ["p"], attributes: { pads: [0, 0, 1, 1, 0, 0, 1, 1] }, floats }),
    node("MaxPool", { inputs: ["p"], attributes: { kernel_shape: [2, 2] } }),
  ];
  await assertRejects(
    () => readIn(9, pad({ value: 3 })),
    FormatError,
    "padding constant 0, 0, 1, 1, 0, 0, 1, 1 by 3",
  );
  const cast = node("Cast", { attributes: { to: "FLOAT16" } });
  assertEquals(await readIn(5, [cast]), []);
  await assertRejects(
    () => readIn(5, [node("Cast", { attributes: { to: "INT32" } })]),
    FormatError,
    "as integers",
  );
  await assertRejects(
    () => readIn(6, [cast]),
    FormatError,
    'its attribute "to" is of type STRING, expected int',
  );
});

Deno.test("readOnnx() refuses networks in training, by the marks of each version", async () => {
  const tensors = {
    s: testTensor(4),
    b: testTensor(4),
    m: testTensor(4),
    v: { shape: [4], floats: [1, 2, 0, 3] },
  };
  const norm = (
    own: Partial<TestNode>,
  ) => [node("BatchNormalization", { inputs: ["conv", "s", "b", "m", "v"], ...own })];
  const five = { outputs: ["y", "m2", "v2", "m3", "v3"] };
  const training = "it measures its batch (training_mode)";
  assertEquals((await readIn(6, norm({ attributes: { is_test: 1 } }), tensors)).length, 1);
  await assertRejects(() => readIn(6, norm({}), tensors), FormatError, training);
  await assertRejects(() => readIn(9, norm(five), tensors), FormatError, training);
  await assertRejects(
    () => readIn(15, norm({ attributes: { training_mode: 1 } }), tensors),
    FormatError,
    training,
  );
  await assertRejects(
    () => readIn(8, norm({ attributes: { spatial: 0 } }), tensors),
    FormatError,
    "for each pixel",
  );
  const dropout = node("Dropout", { inputs: ["conv", "ratio", "mode"] }), ratio = scalar(0.25);
  const mode = (value: number) => ({ ratio, mode: { shape: [], integers: [value] } });
  assertEquals(await readIn(13, [dropout], mode(0)), [{ kind: "dropout", p: 0.25 }]);
  await assertRejects(() => readIn(13, [dropout], mode(1)), FormatError, "it drops features (training_mode)");
  await assertRejects(() => readIn(6, [node("Dropout")]), FormatError, "it drops features");
});

Deno.test("readOnnx() refuses attributes that it does not read, that are of another type, and that are there twice", async () => {
  const refused: readonly (readonly [TestNode, string])[] = [
    [node("Relu", { attributes: { axis: 1 } }), 'it has an attribute "axis", expected no attributes'],
    [node("LeakyRelu", { attributes: { alpha: 1 } }), 'its attribute "alpha" is of type INT, expected float'],
    [node("Swish", { floats: { alpha: 1.5 } }), "alpha 1.5"],
    [node("AveragePool", { attributes: { kernel_shape: [2, 2], dilations: [2, 2] } }), "dilation 2 x 2"],
    [node("MaxPool", { attributes: { kernel_shape: [2, 2], auto_pad: "SAME" } }), "auto_pad SAME"],
    [
      node("MaxPool", { attributes: { kernel_shape: [2, 2], auto_pad: "VALID", pads: [1, 1, 1, 1] } }),
      "auto_pad VALID beside pads",
    ],
    [
      node("MaxPool", { attributes: { kernel_shape: [2, 2], auto_pad: "VALID", ceil_mode: 1 } }),
      "auto_pad VALID beside ceil_mode",
    ],
    [
      node("Conv", { inputs: ["conv", "w"], attributes: { kernel_shape: [3, 3] } }),
      "windows of 3 x 3, expected 1 x 1, as its weight",
    ],
    [node("Reshape", { inputs: ["conv", "sizes"], attributes: { allowzero: 1 } }), "a size of 0 (allowzero)"],
  ];
  const tensors = { w: testTensor(4, 4, 1, 1), sizes: integers(0, 4, 8, 8) };
  for (const [own, message] of refused) {
    const [start] = message.split(", expected");
    await assertRejects(() => readIn(24, [own], tensors), FormatError, start);
  }
  const message = modelMessage(around([node("Elu", { floats: { alpha: 1 } })]));
  const { attribute } = message.graph!.node[1];
  attribute.push(
    create(AttributeProtoSchema, { name: "alpha", type: AttributeProto_AttributeType.FLOAT, f: 2 }),
  );
  await assertRejects(
    () => readOnnx(toBinary(ModelProtoSchema, message), readOptions),
    FormatError,
    'two attributes "alpha"',
  );
});

Deno.test("readOnnx() refuses two tensors of one name, and padding that nothing reads", async () => {
  const message = modelMessage(around([node("Relu")])), { initializer } = message.graph!;
  initializer.push({ ...initializer[0] });
  await assertRejects(
    () => readOnnx(toBinary(ModelProtoSchema, message), readOptions),
    FormatError,
    'two tensors named "conv.weight"',
  );
  const pad = node("Pad", { inputs: ["x", "pads"], outputs: ["logits"] });
  const padded = { nodes: [pad], tensors: { pads: integers(0, 0, 1, 1, 0, 0, 1, 1) } };
  await assertRejects(() => readModel(padded), FormatError, "zeros around a map");
});

Deno.test("readOnnx() computes numbers by Shape of some dimensions, Cast to truth values, Max, Min and Sum", async () => {
  // Each gives the scale of the features.
  const scales: readonly (readonly [TestNode, readonly number[]])[] = [
    [node("Shape", { inputs: ["t"], outputs: ["n"], attributes: { start: 1, end: 2 } }), [3]],
    [node("Cast", { inputs: ["half"], outputs: ["n"], attributes: { to: 9 } }), [1]],
    [node("Max", { inputs: ["half", "two", "half"], outputs: ["n"] }), [2]],
    [node("Min", { inputs: ["half", "two"], outputs: ["n"] }), [0.5]],
    [node("Sum", { inputs: ["half", "two", "two"], outputs: ["n"] }), [4.5]],
  ];
  const tensors = { t: testTensor(2, 3), half: scalar(0.5), two: scalar(2), w: testTensor(1, 4, 1, 1) };
  for (const [own, [wanted]] of scales) {
    const cast = { op: "Cast", inputs: ["n"], outputs: ["f"], attributes: { to: 1 } };
    const mul = node("Mul", { inputs: ["conv", "f"] });
    const { parameters } = await readModel(around([own, cast, mul], tensors));
    assertEquals(parameters.get("conv.bias")![1], testTensor(4).floats![1] * wanted, own.op);
  }
});
