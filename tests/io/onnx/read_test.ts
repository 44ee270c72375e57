import { assert, assertEquals, assertRejects } from "@std/assert";
import { toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, TensorProto_DataLocation, TensorProto_DataType } from "onnx-buf";
import { FormatError } from "../../../src/errors.ts";
import { readOnnx } from "../../../src/io/onnx/read.ts";
import { memoryFiles } from "../../helpers/memory_files.ts";
import { around, readMiddle, readModel, readOptions, withoutNames } from "../../helpers/onnx_middle.ts";
import { locateData, modelMessage, scalar, testTensor } from "../../helpers/onnx_models.ts";
import { sharedPath } from "../../helpers/shared.ts";

Deno.test("readOnnx() reads a convolution's windows, groups, bias and names", async () => {
  const { graph, parameters } = await readModel({
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
  const { graph, parameters } = await readModel({ nodes, tensors, input: ["N", 3, 2, 2] });
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
  const { graph, parameters } = await readModel(around(nodes, tensors));
  const window = { kernel: 1, stride: 1, padding: 0 };
  assertEquals(withoutNames(graph).slice(1, 3), [
    { kind: "conv2d", outChannels: 4, ...window, groups: 4, bias: true },
    { kind: "add", inputs: ["conv", "add"] },
  ]);
  assertEquals([...parameters.get("add.weight")!], [1, 1, 1, 1]);
  assertEquals([...parameters.get("add.bias")!], [1, 2, 3, 4]);
});

Deno.test("readOnnx() reads numbers that images are normalised by, and a scale after an activation", async () => {
  const { graph, parameters } = await readModel({
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

Deno.test("readOnnx() reads batch norm with PyTorch's momentum", async () => {
  const norm = { op: "BatchNormalization", inputs: ["conv", "s", "b", "m", "v"], outputs: ["y"] };
  const tensors = {
    s: testTensor(4),
    b: testTensor(4),
    m: testTensor(4),
    v: { shape: [4], floats: [1, 2, 0, 3] },
  };
  const momentum = async (floats: Readonly<Record<string, number>>) =>
    await readMiddle([{ ...norm, floats }], tensors);
  const kind = "batchnorm2d";
  assertEquals(await momentum({}), [{ kind, epsilon: 1e-5, momentum: 0.1 }]);
  assertEquals(await momentum({ momentum: 0.75, epsilon: 1e-3 }), [{ kind, epsilon: 1e-3, momentum: 0.25 }]);
  assertEquals(await momentum({ momentum: 1 }), [{ kind, epsilon: 1e-5, momentum: 0.1 }]);
  const { parameters } = await readModel(around([norm], tensors));
  assertEquals([...parameters.get("batchnormalization.running_var")!], [1, 2, 0, 3]);
  const negative = { ...tensors, v: { shape: [4], floats: [1, -2, 0, 3] } };
  await assertRejects(() => readModel(around([norm], negative)), FormatError, "-2 at its index [1]");
});

Deno.test("readOnnx() leaves out what the logits do not depend on", async () => {
  const model = around([
    { op: "Relu", inputs: ["conv"], outputs: ["y"] },
    { op: "NonZero", inputs: ["y"], outputs: ["unread"] },
  ]);
  const { graph } = await readModel({ ...model, output: "logits" });
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
  const { parameters } = await readOnnx(toBinary(ModelProtoSchema, message), readOptions);
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
    ...readOptions,
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
      ...readOptions,
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
