import { assert, assertEquals, assertRejects } from "@std/assert";
import { toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, TensorProto_DataLocation, TensorProto_DataType } from "onnx-buf";
import { FormatError } from "../../../src/errors.ts";
import { readOnnx } from "../../../src/io/onnx/read.ts";
import { type Graph, resolveGraph } from "../../../src/model/graph.ts";
import { memoryFiles } from "../../helpers/memory_files.ts";
import {
  integers,
  locateData,
  modelMessage,
  onnxFile,
  scalar,
  type TestModel,
  type TestNode,
  testTensor,
} from "../../helpers/onnx_models.ts";
import { sharedPath } from "../../helpers/shared.ts";

const options = { name: "net.onnx", size: { height: 8, width: 8 }, files: memoryFiles() };

const read = (model: TestModel) => readOnnx(onnxFile(model), options);

/** Layers without their names. */
const kinds = ({ layers }: Graph) => layers.map(({ name: _, ...rest }) => rest);

const conv = { op: "Conv", inputs: ["x", "conv.weight", "conv.bias"], outputs: ["conv"] };
const convTensors = { "conv.weight": testTensor(4, 3, 3, 3), "conv.bias": testTensor(4) };

/** The middle of a network between a convolution, whose output is `conv`, and a linear layer, which reads `y`. */
const around = (nodes: readonly TestNode[], tensors: TestModel["tensors"] = {}): TestModel => ({
  nodes: [
    { ...conv, attributes: { pads: [1, 1, 1, 1] } },
    ...nodes,
    { op: "GlobalAveragePool", inputs: ["y"], outputs: ["pooled"] },
    { op: "Flatten", inputs: ["pooled"], outputs: ["flat"] },
    { op: "Gemm", inputs: ["flat", "fc.weight"], outputs: ["logits"], attributes: { transB: 1 } },
  ],
  tensors: { ...convTensors, "fc.weight": testTensor(2, 4), ...tensors },
});

/** The layers that nodes in the middle of a network become. */
const middle = async (nodes: readonly TestNode[], tensors: TestModel["tensors"] = {}) =>
  kinds((await read(around(nodes, tensors))).graph).slice(1, -2);

const named = (value: number) => ({ op: "Constant", inputs: [], attributes: { value: scalar(value) } });

Deno.test("readOnnx() reads a convolution's windows, groups, bias and names", async () => {
  const { graph, parameters } = await read({
    nodes: [
      {
        op: "Conv",
        inputs: ["x", "a.weight"],
        outputs: ["a"],
        attributes: {
          pads: [1, 2, 1, 2],
          strides: [2, 1],
          dilations: [1, 2],
          group: 3,
          "kernel_shape": [3, 3],
        },
      },
      { op: "Relu", inputs: ["a"], outputs: ["b"], name: "/block/block.0/Relu_1" },
      { op: "Conv", inputs: ["b", "W", "B"], outputs: ["c"], name: "/block/block.1/conv/Conv" },
      { op: "GlobalAveragePool", inputs: ["c"], outputs: ["d"] },
      { op: "Flatten", inputs: ["d"], outputs: ["e"] },
    ],
    tensors: { "a.weight": testTensor(6, 1, 3, 3), W: testTensor(2, 6, 1, 1), B: testTensor(2) },
  });
  assertEquals(graph.name, "net");
  assertEquals(graph.layers.map((layer) => ({ ...layer })), [
    {
      kind: "conv2d",
      name: "a",
      outChannels: 6,
      kernel: 3,
      stride: [2, 1],
      padding: [1, 2],
      dilation: [1, 2],
      groups: 3,
      bias: false,
    },
    { kind: "relu", name: "block.0.relu_1" },
    { kind: "conv2d", name: "block.1.conv", outChannels: 2, kernel: 1, stride: 1, padding: 0, bias: true },
    { kind: "globalavgpool2d", name: "globalaveragepool" },
  ]);
  assertEquals([...parameters.keys()], ["a.weight", "block.1.conv.weight", "block.1.conv.bias"]);
  assertEquals([...parameters.get("a.weight")!], testTensor(6, 1, 3, 3).floats);
});

Deno.test("readOnnx() pads as SAME says, and adds a Pad before it", async () => {
  const padded = (attributes: TestNode["attributes"], pads?: readonly number[]) =>
    read({
      nodes: [
        ...(pads ? [{ op: "Pad", inputs: ["x", "pads"], outputs: ["padded"] }] : []),
        {
          op: "Conv",
          inputs: [pads ? "padded" : "x", "w"],
          outputs: ["y"],
          ...(attributes ? { attributes } : {}),
        },
        { op: "GlobalAveragePool", inputs: ["y"], outputs: ["z"] },
      ],
      tensors: { w: testTensor(2, 3, 3, 3), ...(pads ? { pads: integers(...pads) } : {}) },
    });
  const paddings = await Promise.all([
    padded({ "auto_pad": "SAME_UPPER" }),
    padded({ auto_pad: "VALID" }),
    padded({ pads: [1, 0, 1, 0] }, [0, 0, 1, 2, 0, 0, 1, 2]),
  ]);
  assertEquals(paddings.map(({ graph: { layers: [layer] } }) => "padding" in layer && layer.padding), [
    1,
    0,
    2,
  ]);
  // At stride 2 of 8 pixels the one zero goes behind, or before.
  const oneSided = await Promise.all([
    padded({ auto_pad: "SAME_UPPER", strides: [2, 2] }),
    padded({ auto_pad: "SAME_LOWER", strides: [2, 2] }),
    padded({ pads: [1, 1, 1, 1] }, [0, 0, 1, 0, 0, 0, 0, 0]),
  ]);
  assertEquals(
    oneSided.map(({ graph: { layers: [layer] } }) => {
      const { padding, paddingAfter } = layer as { padding: unknown; paddingAfter: unknown };
      return [padding, paddingAfter];
    }),
    [[0, 1], [1, 0], [[2, 1], 1]],
  );
});

Deno.test("readOnnx() reads pooling whose sizes are rounded up, and whose padding counts or not", async () => {
  const pool = (op: string, attributes: TestNode["attributes"], pads?: readonly number[]) =>
    middle([
      ...(pads ? [{ op: "Pad", inputs: ["conv", "pads"], outputs: ["padded"] }] : []),
      { op, inputs: [pads ? "padded" : "conv"], outputs: ["y"], ...(attributes ? { attributes } : {}) },
    ], pads ? { pads: integers(...pads) } : {});
  const three = { "kernel_shape": [3, 3], strides: [2, 2] }, window = { kernel: 3, stride: 2, padding: 0 };
  const wanted: readonly (readonly [Promise<unknown>, Record<string, unknown>])[] = [
    // 8 pixels: three windows reach to 7, four to 9.
    [pool("MaxPool", { ...three, "ceil_mode": 1 }), { kind: "maxpool2d", ...window, paddingAfter: 1 }],
    [pool("MaxPool", three), { kind: "maxpool2d", ...window }],
    // A fourth window would start behind the map and its padding.
    [
      pool("MaxPool", { "kernel_shape": [2, 2], strides: [3, 3], "ceil_mode": 1 }),
      { kind: "maxpool2d", kernel: 2, stride: 3, padding: 0 },
    ],
    [
      pool("MaxPool", { "kernel_shape": [2, 2], "auto_pad": "SAME_UPPER" }),
      { kind: "maxpool2d", kernel: 2, stride: 1, padding: 0, paddingAfter: 1 },
    ],
    [
      pool("AveragePool", { ...three, "ceil_mode": 1 }),
      { kind: "avgpool2d", ...window, paddingAfter: 1, countsPadding: false },
    ],
    [
      pool("AveragePool", { ...three, pads: [1, 1, 1, 1] }),
      { kind: "avgpool2d", ...window, padding: 1, countsPadding: false },
    ],
    [
      pool("AveragePool", { ...three, pads: [1, 1, 1, 1], "count_include_pad": 1 }),
      { kind: "avgpool2d", ...window, padding: 1 },
    ],
    [pool("AveragePool", three, [0, 0, 0, 0, 0, 0, 1, 1]), { kind: "avgpool2d", ...window, paddingAfter: 1 }],
    [pool("AveragePool", { ...three, "count_include_pad": 1 }), { kind: "avgpool2d", ...window }],
  ];
  for (const [layers, layer] of wanted) assertEquals(await layers, [layer]);
  assertEquals(await middle([{ op: "GlobalMaxPool", inputs: ["conv"], outputs: ["y"] }]), [
    { kind: "maxpool2d", kernel: 8, stride: 8, padding: 0 },
  ]);
  const both = { ...three, pads: [1, 1, 1, 1], "ceil_mode": 1, "count_include_pad": 1 };
  await assertRejects(() => pool("AveragePool", both), FormatError, "some padding that counts as zeros");
});

Deno.test("readOnnx() turns a matrix product, its bias and its factors into a linear layer", async () => {
  const nodes = [
    { op: "Flatten", inputs: ["x"], outputs: ["flat"] },
    { op: "MatMul", inputs: ["flat", "w"], outputs: ["a"] },
    { op: "Add", inputs: ["a", "b"], outputs: ["c"] },
    { op: "Mul", inputs: ["c", "s"], outputs: ["d"] },
    { op: "Relu", inputs: ["d"], outputs: ["e"] },
    { op: "Gemm", inputs: ["e", "v", "b"], outputs: ["f"], floats: { alpha: 2, beta: 0.5 } },
  ];
  const tensors = {
    w: testTensor(12, 2),
    b: testTensor(2),
    s: { shape: [2], floats: [2, -1] },
    v: testTensor(2, 2),
  };
  const { graph, parameters } = await read({ nodes, tensors, input: ["N", 3, 2, 2] });
  assertEquals(graph.layers.map(({ kind }) => kind), ["flatten", "linear", "relu", "linear"]);
  const w = tensors.w.floats!, b = tensors.b.floats!, v = tensors.v.floats!;
  const columns = (i: number) => w.filter((_, j) => j % 2 === i);
  assertEquals([...parameters.get("matmul.weight")!], [
    ...columns(0).map((value) => 2 * value),
    ...columns(1).map((value) => -value),
  ]);
  assertEquals([...parameters.get("matmul.bias")!], [2 * b[0], -b[1]]);
  assertEquals([...parameters.get("gemm.weight")!], [v[0], v[2], v[1], v[3]].map((value) => 2 * value));
  assertEquals([...parameters.get("gemm.bias")!], b.map((value) => value / 2));
});

Deno.test("readOnnx() adds numbers to no layer that something else reads", async () => {
  const nodes = [
    { op: "Add", inputs: ["conv", "shift"], outputs: ["shifted"] },
    { op: "Add", inputs: ["conv", "shifted"], outputs: ["y"] },
  ];
  const tensors = { shift: { shape: [4, 1, 1], floats: [1, 2, 3, 4] } };
  const { graph, parameters } = await read(around(nodes, tensors));
  const window = { kernel: 1, stride: 1, padding: 0 };
  assertEquals(kinds(graph).slice(1, 3), [
    { kind: "conv2d", outChannels: 4, ...window, groups: 4, bias: true },
    { kind: "add", inputs: ["conv", "add"] },
  ]);
  assertEquals([...parameters.get("add.weight")!], [1, 1, 1, 1]);
  assertEquals([...parameters.get("add.bias")!], [1, 2, 3, 4]);
});

Deno.test("readOnnx() reads numbers that images are normalised by, and a scale after an activation", async () => {
  const { graph, parameters } = await read({
    nodes: [
      { op: "Sub", inputs: ["x", "mean"], outputs: ["a"] },
      { op: "Div", inputs: ["a", "deviation"], outputs: ["b"] },
      { op: "Relu", inputs: ["b"], outputs: ["c"] },
      { op: "Mul", inputs: ["two", "c"], outputs: ["d"] },
      { op: "GlobalAveragePool", inputs: ["d"], outputs: ["e"] },
    ],
    tensors: {
      mean: { shape: [1, 3, 1, 1], floats: [1, 2, 3] },
      deviation: { shape: [3, 1, 1], floats: [2, 4, 8] },
      two: scalar(2),
    },
  });
  assertEquals(graph.layers.map(({ kind }) => kind), ["conv2d", "relu", "conv2d", "globalavgpool2d"]);
  assertEquals([...parameters.values()].map((values) => [...values]), [
    [1 / 2, 1 / 4, 1 / 8],
    [-1 / 2, -2 / 4, -3 / 8],
    [2, 2, 2],
  ]);
});

Deno.test("readOnnx() recognises functions that are spelled out", async () => {
  const gelu = [
    { ...named(Math.SQRT2), outputs: ["root"] },
    { ...named(1), outputs: ["one"] },
    { ...named(0.5), outputs: ["half"] },
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
    assertEquals(await middle([...gelu, ...order]), [{ kind: "gelu", approximate: "none" }]);
  }
  const tanh = [
    { ...named(3), outputs: ["three"] },
    { ...named(0.044715), outputs: ["k"] },
    { ...named(Math.sqrt(2 / Math.PI)), outputs: ["s"] },
    { ...named(1), outputs: ["one"] },
    { ...named(0.5), outputs: ["half"] },
    { op: "Pow", inputs: ["conv", "three"], outputs: ["cube"] },
    { op: "Mul", inputs: ["cube", "k"], outputs: ["a"] },
    { op: "Add", inputs: ["conv", "a"], outputs: ["b"] },
    { op: "Mul", inputs: ["b", "s"], outputs: ["c"] },
    { op: "Tanh", inputs: ["c"], outputs: ["d"] },
    { op: "Add", inputs: ["d", "one"], outputs: ["e"] },
    { op: "Mul", inputs: ["conv", "half"], outputs: ["f"] },
    { op: "Mul", inputs: ["f", "e"], outputs: ["y"] },
  ];
  assertEquals(await middle(tanh), [{ kind: "gelu", approximate: "tanh" }]);
  const silu = [
    { op: "Sigmoid", inputs: ["conv"], outputs: ["a"] },
    { op: "Mul", inputs: ["a", "conv"], outputs: ["y"] },
  ];
  assertEquals(await middle(silu), [{ kind: "silu" }]);
  const mish = [
    { op: "Softplus", inputs: ["conv"], outputs: ["a"] },
    { op: "Tanh", inputs: ["a"], outputs: ["b"] },
    { op: "Mul", inputs: ["conv", "b"], outputs: ["y"] },
  ];
  assertEquals(await middle(mish), [{ kind: "mish" }]);
  const clipped = [
    { ...named(3), outputs: ["three"] },
    { ...named(6), outputs: ["six"] },
    { ...named(0), outputs: ["zero"] },
    { op: "Add", inputs: ["conv", "three"], outputs: ["a"] },
    { op: "Clip", inputs: ["a", "zero", "six"], outputs: ["b"] },
  ];
  const hardSigmoid = [...clipped, { op: "Div", inputs: ["b", "six"], outputs: ["y"] }];
  assertEquals(await middle(hardSigmoid), [{ kind: "hardsigmoid", alpha: 1 / 6, beta: 0.5 }]);
  const hardSwish = [
    ...clipped,
    { op: "Mul", inputs: ["conv", "b"], outputs: ["c"] },
    { op: "Div", inputs: ["c", "six"], outputs: ["y"] },
  ];
  assertEquals(await middle(hardSwish), [{ kind: "hardswish" }]);
  const gated = [
    { op: "HardSigmoid", inputs: ["conv"], outputs: ["a"], floats: { alpha: 1 / 6 } },
    { op: "Mul", inputs: ["conv", "a"], outputs: ["y"] },
  ];
  assertEquals(await middle(gated), [{ kind: "hardswish" }]);
  // Another factor makes it another function.
  const wrong = gelu.with(0, { ...named(1.5), outputs: ["root"] });
  await assertRejects(() => middle([...wrong, ...orders[0]]), FormatError, "node 5 (Erf)");
});

Deno.test("readOnnx() multiplies a map by a gate, and maps by each other, in either order", async () => {
  const gate = [
    { op: "GlobalAveragePool", inputs: ["conv"], outputs: ["squeezed"] },
    { op: "Sigmoid", inputs: ["squeezed"], outputs: ["gate"] },
    { op: "Tanh", inputs: ["conv"], outputs: ["tanh"] },
  ];
  const product = async (...inputs: readonly string[]) =>
    (await middle([...gate, { op: "Mul", inputs, outputs: ["y"] }])).at(-1);
  for (const inputs of [["conv", "gate"], ["gate", "conv"]]) {
    assertEquals(await product(...inputs), { kind: "multiply", inputs: ["conv", "sigmoid"] });
  }
  assertEquals(await product("conv", "tanh"), { kind: "multiply", inputs: ["conv", "tanh"] });
  // A vector (N, C) would be repeated along the width.
  const flat = [...gate, { op: "Flatten", inputs: ["gate"], outputs: ["flat gate"] }];
  await assertRejects(
    () => middle([...flat, { op: "Mul", inputs: ["conv", "flat gate"], outputs: ["y"] }]),
    FormatError,
    "maps of different sizes",
  );
});

Deno.test("readOnnx() reads activations with their fields, and bounds that are attributes or inputs", async () => {
  const one = (op: string, node: Partial<TestNode> = {}, ...numbers: readonly string[]) =>
    middle([
      { ...named(0.25), outputs: ["quarter"] },
      { ...named(0), outputs: ["zero"] },
      { ...named(6), outputs: ["six"] },
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
  ];
  for (const [layers, layer] of wanted) assertEquals(await layers, [layer]);
  assertEquals(await one("Clip"), []);
  await assertRejects(() => one("Clip", {}, "six", "zero"), FormatError, "bounds 6 and 0");
  await assertRejects(() => one("Clip", {}, "zero", "conv"), FormatError, "bounds 0 and NaN");
});

Deno.test("readOnnx() reads single channels of the images, which networks normalise on their own", async () => {
  const one = (index: string, from: string) => [
    { op: "Gather", inputs: [from, index], outputs: [`${index} plane`], attributes: { axis: 1 } },
    { op: "Unsqueeze", inputs: [`${index} plane`, "axis"], outputs: [`${index} map`] },
    { op: "Mul", inputs: [`${index} map`, "half"], outputs: [`${index} scaled`] },
  ];
  const join = { op: "Concat", inputs: ["a scaled", "b scaled"], outputs: ["y"], attributes: { axis: 1 } };
  const tensors = {
    a: { shape: [], integers: [2] },
    b: { shape: [], integers: [-4] },
    axis: integers(1),
    half: scalar(0.5),
  };
  const layers = await middle([...one("a", "conv"), ...one("b", "conv"), join], {
    ...tensors,
    "fc.weight": testTensor(2, 2),
  });
  const conv = { kind: "conv2d", outChannels: 1, kernel: 1, stride: 1, padding: 0, bias: false };
  assertEquals(layers, [
    { kind: "slice", first: 2, outChannels: 1 },
    conv,
    { kind: "slice", inputs: ["conv"], first: 0, outChannels: 1 },
    conv,
    { kind: "concat", inputs: ["mul", "mul_2"] },
  ]);
  const [gather] = one("a", "conv");
  await assertRejects(
    () => middle([gather, { op: "Relu", inputs: ["a plane"], outputs: ["y"] }], tensors),
    FormatError,
    "one channel without its dimension",
  );
  await assertRejects(
    () => middle([{ ...gather, outputs: ["y"], attributes: { axis: 2 } }], tensors),
    FormatError,
    "elements along axis 2",
  );
});

Deno.test("readOnnx() reads slopes, one for all or one per channel", async () => {
  const sloped = async (shape: readonly number[]) => {
    const { graph, parameters } = await read(around(
      [{ op: "PRelu", inputs: ["conv", "act.weight"], outputs: ["y"] }],
      { "act.weight": testTensor(...shape) },
    ));
    return [kinds(graph)[1], [...parameters.get("act.weight")!]];
  };
  for (const shape of [[1], [1, 1, 1]]) {
    assertEquals(await sloped(shape), [{ kind: "prelu", shared: true }, testTensor(1).floats]);
  }
  for (const shape of [[4, 1, 1], [1, 4, 1, 1]]) {
    assertEquals(await sloped(shape), [{ kind: "prelu", shared: false }, testTensor(4).floats]);
  }
  await assertRejects(() => sloped([4]), FormatError, "numbers of other sizes");
});

Deno.test("readOnnx() reads a shuffle of channels that a file spells out, and parts of a map", async () => {
  const shuffled = (perm: readonly number[], ...shapes: readonly (readonly number[])[]) =>
    middle(
      [
        { op: "Reshape", inputs: ["conv", "groups"], outputs: ["a"] },
        { op: "Transpose", inputs: ["a"], outputs: ["b"], attributes: { perm } },
        { op: "Reshape", inputs: ["b", "channels"], outputs: ["y"] },
      ],
      { groups: integers(...shapes[0]), channels: integers(...shapes[1]) },
    );
  for (const shape of [[0, 2, 2, 8, 8], [-1, 2, 2, 8, 8]]) {
    const layers = await shuffled([0, 2, 1, 3, 4], shape, [-1, 4, 8, 8]);
    assertEquals(layers, [{ kind: "shuffle", groups: 2 }]);
  }
  await assertRejects(
    () => shuffled([0, 1, 2, 4, 3], [0, 2, 2, 8, 8], [0, 4, 8, 8]),
    FormatError,
    '(Transpose)": the order (0,1,2,4,3)',
  );
  await assertRejects(
    () =>
      middle([{ op: "Reshape", inputs: ["conv", "groups"], outputs: ["y"] }], {
        groups: integers(0, 2, 2, 8, 8),
      }),
    FormatError,
    "channels in two dimensions",
  );
  const parts = (attributes: TestNode["attributes"], ...sizes: readonly string[]) =>
    middle([
      { op: "Split", inputs: ["conv", ...sizes], outputs: ["a", "b"], ...(attributes ? { attributes } : {}) },
      { op: "Concat", inputs: ["b", "a"], outputs: ["y"], attributes: { axis: 1 } },
    ], { sizes: integers(1, 3), wrong: integers(1, 2) });
  const slices = (count: number) => [
    { kind: "slice", first: 0, outChannels: count },
    { kind: "slice", inputs: ["conv"], first: count, outChannels: 4 - count },
    { kind: "concat", inputs: ["split_2", "split"] },
  ];
  assertEquals(await parts({ axis: 1 }), slices(2));
  assertEquals(await parts({ axis: -3, split: [3, 1] }), slices(3));
  assertEquals(await parts({ axis: 1 }, "sizes"), slices(1));
  await assertRejects(() => parts({ axis: 1 }, "wrong"), FormatError, "parts of 1, 2 along axis 1");
  await assertRejects(() => parts({ axis: 2 }), FormatError, "along axis 2");
  const sliced = [
    { op: "Slice", inputs: ["conv", "from", "to", "axis"], outputs: ["part"] },
    { op: "Concat", inputs: ["part", "part"], outputs: ["y"], attributes: { axis: 1 } },
  ];
  const tensors = { from: integers(-2), to: integers(4), axis: integers(1) };
  assertEquals((await middle(sliced, tensors))[0], { kind: "slice", first: 2, outChannels: 2 });
});

Deno.test("readOnnx() reads the shortcut of a residual block: a Slice and a Pad of channels", async () => {
  const sliced = (axis: number, from: string, to: string) => [
    { op: "Constant", inputs: [], outputs: [`${to}.zero`], attributes: { value: integers(0) } },
    { op: "Constant", inputs: [], outputs: [`${to}.end`], attributes: { value: integers(1000) } },
    { op: "Constant", inputs: [], outputs: [`${to}.axis`], attributes: { value: integers(axis) } },
    { op: "Constant", inputs: [], outputs: [`${to}.step`], attributes: { value: integers(2) } },
    { op: "Slice", inputs: [from, `${to}.zero`, `${to}.end`, `${to}.axis`, `${to}.step`], outputs: [to] },
  ];
  const model = around([
    ...sliced(2, "conv", "a"),
    ...sliced(-1, "a", "b"),
    { op: "Pad", inputs: ["b", "pads"], outputs: ["y"] },
  ], { pads: integers(0, 1, 0, 0, 0, 3, 0, 0), "fc.weight": testTensor(2, 8) });
  const { graph } = await read(model);
  assertEquals(kinds(graph)[1], { kind: "subsample", outChannels: 8, stride: 2, before: 1 });
  assertEquals(resolveGraph(graph)[1].output, { channels: 8, height: 4, width: 4, taps: 1 });
});

Deno.test("readOnnx() flattens by Flatten, Reshape, and the sizes that a file computes", async () => {
  const flattened = async (nodes: readonly TestNode[], tensors: TestModel["tensors"] = {}) => {
    const gemm = { op: "Gemm", inputs: ["flat", "w"], outputs: ["logits"], attributes: { transB: 1 } };
    return kinds(
      (await read({ nodes: [...nodes, gemm], tensors: { w: testTensor(2, 192), ...tensors } })).graph,
    );
  };
  const wanted = [{ kind: "flatten" }, { kind: "linear", outFeatures: 2, bias: false }];
  assertEquals(await flattened([{ op: "Flatten", inputs: ["x"], outputs: ["flat"] }]), wanted);
  for (const shape of [[-1, 192], [0, -1], [0, 192]]) {
    const reshape = [{ op: "Reshape", inputs: ["x", "shape"], outputs: ["flat"] }];
    assertEquals(await flattened(reshape, { shape: integers(...shape) }), wanted);
  }
  const computed = [
    { op: "Shape", inputs: ["x"], outputs: ["sizes"] },
    { op: "Gather", inputs: ["sizes", "zero"], outputs: ["n"] },
    { op: "Unsqueeze", inputs: ["n", "zeros"], outputs: ["ns"] },
    { op: "Concat", inputs: ["ns", "rest"], outputs: ["shape"], attributes: { axis: 0 } },
    { op: "Reshape", inputs: ["x", "shape"], outputs: ["flat"] },
  ];
  const sizes = { zero: { shape: [], integers: [0] }, zeros: integers(0), rest: integers(-1) };
  assertEquals(await flattened(computed, sizes), wanted);
  const other = [{ op: "Reshape", inputs: ["x", "shape"], outputs: ["flat"] }];
  await assertRejects(
    () => flattened(other, { shape: integers(192, -1) }),
    FormatError,
    "it reshapes to (192, -1)",
  );
});

Deno.test("readOnnx() takes a softmax at the end as the function of the logits, and refuses it elsewhere", async () => {
  const softmax = { op: "Softmax", inputs: ["logits"], outputs: ["p"], attributes: { axis: 1 } };
  const model = around([{ op: "Relu", inputs: ["conv"], outputs: ["y"] }]);
  assertEquals((await read({ ...model, nodes: [...model.nodes, softmax] })).graph.output, "softmax");
  assertEquals((await read(model)).graph.output, undefined);
  const after = { op: "Relu", inputs: ["p"], outputs: ["z"] };
  await assertRejects(
    () => read({ ...model, nodes: [...model.nodes, softmax, after] }),
    FormatError,
    "it follows a softmax",
  );
});

Deno.test("readOnnx() reads batch norm with PyTorch's momentum", async () => {
  const norm = { op: "BatchNormalization", inputs: ["conv", "s", "b", "m", "v"], outputs: ["y"] };
  const tensors = {
    s: testTensor(4),
    b: testTensor(4),
    m: testTensor(4),
    v: { shape: [4], floats: [1, 2, 0, 3] },
  };
  const momentum = async (floats: Readonly<Record<string, number>>) =>
    await middle([{ ...norm, floats }], tensors);
  const kind = "batchnorm2d";
  assertEquals(await momentum({}), [{ kind, epsilon: 1e-5, momentum: 0.1 }]);
  assertEquals(await momentum({ momentum: 0.75, epsilon: 1e-3 }), [{ kind, epsilon: 1e-3, momentum: 0.25 }]);
  assertEquals(await momentum({ momentum: 1 }), [{ kind, epsilon: 1e-5, momentum: 0.1 }]);
  const { parameters } = await read(around([norm], tensors));
  assertEquals([...parameters.get("batchnormalization.running_var")!], [1, 2, 0, 3]);
  const negative = { ...tensors, v: { shape: [4], floats: [1, -2, 0, 3] } };
  await assertRejects(() => read(around([norm], negative)), FormatError, "-2 at its index [1]");
});

Deno.test("readOnnx() leaves out what the logits do not depend on", async () => {
  const model = around([
    { op: "Relu", inputs: ["conv"], outputs: ["y"] },
    { op: "NonZero", inputs: ["y"], outputs: ["unread"] },
  ]);
  const { graph } = await read({ ...model, output: "logits" });
  assertEquals(graph.layers.map(({ kind }) => kind), ["conv2d", "relu", "globalavgpool2d", "linear"]);
});

Deno.test("readOnnx() reads 16-bit and 64-bit floats, typed fields and external data", async () => {
  const { FLOAT16, BFLOAT16, DOUBLE, FLOAT } = TensorProto_DataType;
  const message = modelMessage(around([{ op: "Relu", inputs: ["conv"], outputs: ["y"] }]));
  const [weight, bias, fc] = message.graph!.initializer;
  Object.assign(weight, {
    dataType: DOUBLE,
    rawData: new Uint8Array(Float64Array.from(testTensor(4, 3, 3, 3).floats!).buffer),
  });
  // 1 and -2 in each type of 16 bits.
  Object.assign(bias, {
    dataType: FLOAT16,
    rawData: new Uint8Array(),
    int32Data: [0x3c00, 0xc000, 0, 0x3c00],
  });
  Object.assign(fc, {
    dataType: BFLOAT16,
    rawData: new Uint8Array(Uint16Array.of(0x3f80, 0xc000, 0, 0x3f80, 0, 0, 0, 0).buffer),
  });
  const { parameters } = await readOnnx(toBinary(ModelProtoSchema, message), options);
  assertEquals([...parameters.get("conv.weight")!], testTensor(4, 3, 3, 3).floats);
  assertEquals([...parameters.get("conv.bias")!], [1, -2, 0, 1]);
  assertEquals([...parameters.get("fc.weight")!], [1, -2, 0, 1, 0, 0, 0, 0]);

  Object.assign(fc, {
    dataType: FLOAT,
    rawData: new Uint8Array(),
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: locateData({ location: "more/weights.bin", offset: "4", length: "32" }),
  });
  const floats = Float32Array.of(9, 1, 2, 3, 4, 5, 6, 7, 8, 9);
  const files = memoryFiles({ "models/more/weights.bin": new Uint8Array(floats.buffer) });
  const external = await readOnnx(toBinary(ModelProtoSchema, message), {
    ...options,
    name: "models/net.onnx",
    files,
  });
  assertEquals([...external.parameters.get("fc.weight")!], [1, 2, 3, 4, 5, 6, 7, 8]);
});

const resnet = sharedPath("onnx/resnet20-cifar10.onnx");

Deno.test(
  "readOnnx() reads a ResNet of PyTorch's exporter by PyTorch's names",
  { ignore: !resnet },
  async () => {
    const { graph, parameters, normalization } = await readOnnx(await Deno.readFile(resnet!), {
      ...options,
      name: resnet!,
    });
    assertEquals(graph.name, "resnet20-cifar10");
    const names = [...parameters.keys()];
    assertEquals(names.length, 40);
    for (const name of ["conv1.weight", "layer1.0.conv1.weight", "layer3.2.conv2.bias", "linear.weight"]) {
      assert(names.includes(name), name);
    }
    assertEquals(graph.layers.filter(({ kind }) => kind === "subsample").length, 2);
    assertEquals(normalization?.mean, [0.485, 0.456, 0.406]);
  },
);
