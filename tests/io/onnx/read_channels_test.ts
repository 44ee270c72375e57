import { assertEquals, assertRejects } from "@std/assert";
import { FormatError } from "../../../src/errors.ts";
import { resolveGraph } from "../../../src/model/graph.ts";
import { around, readMiddle, readModel, withoutNames } from "../../helpers/onnx_middle.ts";
import { integers, scalar, type TestModel, type TestNode, testTensor } from "../../helpers/onnx_models.ts";

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
  const layers = await readMiddle([...one("a", "conv"), ...one("b", "conv"), join], {
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
    () => readMiddle([gather, { op: "Relu", inputs: ["a plane"], outputs: ["y"] }], tensors),
    FormatError,
    "one channel without its dimension",
  );
  await assertRejects(
    () => readMiddle([{ ...gather, outputs: ["y"], attributes: { axis: 2 } }], tensors),
    FormatError,
    "elements along axis 2",
  );
});

Deno.test("readOnnx() reads a shuffle of channels that a file spells out, and parts of a map", async () => {
  const shuffled = (perm: readonly number[], ...shapes: readonly (readonly number[])[]) =>
    readMiddle(
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
      readMiddle([{ op: "Reshape", inputs: ["conv", "groups"], outputs: ["y"] }], {
        groups: integers(0, 2, 2, 8, 8),
      }),
    FormatError,
    "channels in two dimensions",
  );
  const parts = (attributes: TestNode["attributes"], ...sizes: readonly string[]) =>
    readMiddle([
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
  assertEquals((await readMiddle(sliced, tensors))[0], { kind: "slice", first: 2, outChannels: 2 });
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
  const { graph } = await readModel(model);
  assertEquals(withoutNames(graph)[1], { kind: "subsample", outChannels: 8, stride: 2, before: 1 });
  assertEquals(resolveGraph(graph)[1].output, { channels: 8, height: 4, width: 4, taps: 1 });
});

Deno.test("readOnnx() flattens by Flatten, Reshape, and the sizes that a file computes", async () => {
  const flattened = async (nodes: readonly TestNode[], tensors: TestModel["tensors"] = {}) => {
    const gemm = { op: "Gemm", inputs: ["flat", "w"], outputs: ["logits"], attributes: { transB: 1 } };
    return withoutNames(
      (await readModel({ nodes: [...nodes, gemm], tensors: { w: testTensor(2, 192), ...tensors } })).graph,
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
