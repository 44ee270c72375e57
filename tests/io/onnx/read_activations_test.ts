import { assertEquals, assertRejects } from "@std/assert";
import { FormatError } from "../../../src/errors.ts";
import { around, numberNode, readMiddle, readModel, withoutNames } from "../../helpers/onnx_middle.ts";
import { type TestNode, testTensor } from "../../helpers/onnx_models.ts";

Deno.test("readOnnx() recognises functions that are spelled out", async () => {
  const gelu = [
    { ...numberNode(Math.SQRT2), outputs: ["root"] },
    { ...numberNode(1), outputs: ["one"] },
    { ...numberNode(0.5), outputs: ["half"] },
    { op: "Div", inputs: ["conv", "root"], outputs: ["a"] },
    { op: "Erf", inputs: ["a"], outputs: ["b"] },
    { op: "Add", inputs: ["one", "b"], outputs: ["c"] },
  ];
  const orders = [
    [{ op: "Mul", inputs: ["conv", "c"], outputs: ["d"] }, {
      op: "Mul",
      inputs: ["d", "half"],
      outputs: ["y"],
    }],
    [{ op: "Mul", inputs: ["c", "half"], outputs: ["d"] }, {
      op: "Mul",
      inputs: ["d", "conv"],
      outputs: ["y"],
    }],
    [{ op: "Mul", inputs: ["half", "conv"], outputs: ["d"] }, {
      op: "Mul",
      inputs: ["d", "c"],
      outputs: ["y"],
    }],
  ];
  for (const order of orders) {
    assertEquals(await readMiddle([...gelu, ...order]), [{ kind: "gelu", approximate: "none" }]);
  }
  const tanh = [
    { ...numberNode(3), outputs: ["three"] },
    { ...numberNode(0.044715), outputs: ["k"] },
    { ...numberNode(Math.sqrt(2 / Math.PI)), outputs: ["s"] },
    { ...numberNode(1), outputs: ["one"] },
    { ...numberNode(0.5), outputs: ["half"] },
    { op: "Pow", inputs: ["conv", "three"], outputs: ["cube"] },
    { op: "Mul", inputs: ["cube", "k"], outputs: ["a"] },
    { op: "Add", inputs: ["conv", "a"], outputs: ["b"] },
    { op: "Mul", inputs: ["b", "s"], outputs: ["c"] },
    { op: "Tanh", inputs: ["c"], outputs: ["d"] },
    { op: "Add", inputs: ["d", "one"], outputs: ["e"] },
    { op: "Mul", inputs: ["conv", "half"], outputs: ["f"] },
    { op: "Mul", inputs: ["f", "e"], outputs: ["y"] },
  ];
  assertEquals(await readMiddle(tanh), [{ kind: "gelu", approximate: "tanh" }]);
  const silu = [
    { op: "Sigmoid", inputs: ["conv"], outputs: ["a"] },
    { op: "Mul", inputs: ["a", "conv"], outputs: ["y"] },
  ];
  assertEquals(await readMiddle(silu), [{ kind: "silu" }]);
  const mish = [
    { op: "Softplus", inputs: ["conv"], outputs: ["a"] },
    { op: "Tanh", inputs: ["a"], outputs: ["b"] },
    { op: "Mul", inputs: ["conv", "b"], outputs: ["y"] },
  ];
  assertEquals(await readMiddle(mish), [{ kind: "mish" }]);
  const clipped = [
    { ...numberNode(3), outputs: ["three"] },
    { ...numberNode(6), outputs: ["six"] },
    { ...numberNode(0), outputs: ["zero"] },
    { op: "Add", inputs: ["conv", "three"], outputs: ["a"] },
    { op: "Clip", inputs: ["a", "zero", "six"], outputs: ["b"] },
  ];
  const hardSigmoid = [...clipped, { op: "Div", inputs: ["b", "six"], outputs: ["y"] }];
  assertEquals(await readMiddle(hardSigmoid), [{ kind: "hardsigmoid", alpha: 1 / 6, beta: 0.5 }]);
  const hardSwish = [
    ...clipped,
    { op: "Mul", inputs: ["conv", "b"], outputs: ["c"] },
    { op: "Div", inputs: ["c", "six"], outputs: ["y"] },
  ];
  assertEquals(await readMiddle(hardSwish), [{ kind: "hardswish" }]);
  const gated = [
    { op: "HardSigmoid", inputs: ["conv"], outputs: ["a"], floats: { alpha: 1 / 6 } },
    { op: "Mul", inputs: ["conv", "a"], outputs: ["y"] },
  ];
  assertEquals(await readMiddle(gated), [{ kind: "hardswish" }]);
  // Another factor makes it another function.
  const wrong = gelu.with(0, { ...numberNode(1.5), outputs: ["root"] });
  await assertRejects(() => readMiddle([...wrong, ...orders[0]]), FormatError, "node 5 (Erf)");
});

Deno.test("readOnnx() multiplies a map by a gate, and maps by each other, in either order", async () => {
  const gate = [
    { op: "GlobalAveragePool", inputs: ["conv"], outputs: ["squeezed"] },
    { op: "Sigmoid", inputs: ["squeezed"], outputs: ["gate"] },
    { op: "Tanh", inputs: ["conv"], outputs: ["tanh"] },
  ];
  const product = async (...inputs: readonly string[]) =>
    (await readMiddle([...gate, { op: "Mul", inputs, outputs: ["y"] }])).at(-1);
  for (const inputs of [["conv", "gate"], ["gate", "conv"]]) {
    assertEquals(await product(...inputs), { kind: "multiply", inputs: ["conv", "sigmoid"] });
  }
  assertEquals(await product("conv", "tanh"), { kind: "multiply", inputs: ["conv", "tanh"] });
  // A vector (N, C) would be repeated along the width.
  const flat = [...gate, { op: "Flatten", inputs: ["gate"], outputs: ["flat gate"] }];
  await assertRejects(
    () => readMiddle([...flat, { op: "Mul", inputs: ["conv", "flat gate"], outputs: ["y"] }]),
    FormatError,
    "maps of different sizes",
  );
});

Deno.test("readOnnx() reads activations with their fields, and bounds that are attributes or inputs", async () => {
  const one = (op: string, node: Partial<TestNode> = {}, ...numbers: readonly string[]) =>
    readMiddle([
      { ...numberNode(0.25), outputs: ["quarter"] },
      { ...numberNode(0), outputs: ["zero"] },
      { ...numberNode(6), outputs: ["six"] },
      { op, inputs: ["conv", ...numbers], outputs: ["y"], ...node },
    ]);
  const wanted: readonly (readonly [Promise<unknown>, Record<string, unknown>])[] = [
    [one("Elu"), { kind: "elu", alpha: 1 }],
    [one("Elu", { floats: { alpha: 0.3 } }), { kind: "elu", alpha: 0.3 }],
    [one("HardSigmoid"), { kind: "hardsigmoid", alpha: 0.2, beta: 0.5 }],
    [
      one("HardSigmoid", { floats: { alpha: 1 / 6, beta: 0.1 } }),
      { kind: "hardsigmoid", alpha: 1 / 6, beta: 0.1 },
    ],
    ...["HardSwish", "Mish", "Sigmoid", "Tanh"].map((op) => [one(op), { kind: op.toLowerCase() }] as const),
    [one("Gelu", { attributes: { approximate: "tanh" } }), { kind: "gelu", approximate: "tanh" }],
    [one("Clip", {}, "zero", "six"), { kind: "clip", min: 0, max: 6 }],
    [one("Clip", {}, "", "quarter"), { kind: "clip", min: -1e30, max: 0.25 }],
    [one("Clip", { floats: { min: -0.3, max: 0.7 } }), { kind: "clip", min: -0.3, max: 0.7 }],
    [one("Clip", {}, "zero"), { kind: "relu" }],
    [one("Max", {}, "zero"), { kind: "relu" }],
    [one("Max", {}, "six", "zero"), { kind: "clip", min: 6, max: 1e30 }],
    [one("Min", { inputs: ["six", "conv"] }), { kind: "clip", min: -1e30, max: 6 }],
  ];
  for (const [layers, layer] of wanted) assertEquals(await layers, [layer]);
  assertEquals(await one("Clip"), []);
  await assertRejects(() => one("Min", {}, "conv"), FormatError, "input 1 is computed");
  await assertRejects(() => one("Clip", {}, "six", "zero"), FormatError, "bounds 6 and 0");
  await assertRejects(() => one("Clip", {}, "zero", "conv"), FormatError, "bounds 0 and NaN");
});

Deno.test("readOnnx() reads slopes, one for all or one per channel", async () => {
  const sloped = async (shape: readonly number[]) => {
    const { graph, parameters } = await readModel(around(
      [{ op: "PRelu", inputs: ["conv", "act.weight"], outputs: ["y"] }],
      { "act.weight": testTensor(...shape) },
    ));
    return [withoutNames(graph)[1], [...parameters.get("act.weight")!]];
  };
  for (const shape of [[1], [1, 1, 1]]) {
    assertEquals(await sloped(shape), [{ kind: "prelu", shared: true }, testTensor(1).floats]);
  }
  for (const shape of [[4, 1, 1], [1, 4, 1, 1]]) {
    assertEquals(await sloped(shape), [{ kind: "prelu", shared: false }, testTensor(4).floats]);
  }
  await assertRejects(() => sloped([4]), FormatError, "numbers of other sizes");
});

Deno.test("readOnnx() takes a softmax at the end as the function of the logits, and refuses it elsewhere", async () => {
  const softmax = { op: "Softmax", inputs: ["logits"], outputs: ["p"], attributes: { axis: 1 } };
  const model = around([{ op: "Relu", inputs: ["conv"], outputs: ["y"] }]);
  assertEquals((await readModel({ ...model, nodes: [...model.nodes, softmax] })).graph.output, "softmax");
  assertEquals((await readModel(model)).graph.output, undefined);
  const after = { op: "Relu", inputs: ["p"], outputs: ["z"] };
  await assertRejects(
    () => readModel({ ...model, nodes: [...model.nodes, softmax, after] }),
    FormatError,
    "it follows a softmax",
  );
});
