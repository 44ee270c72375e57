import { assertEquals, assertRejects } from "@std/assert";
import { FormatError } from "../../../src/errors.ts";
import { readMiddle, readModel } from "../../helpers/onnx_middle.ts";
import { integers, type TestNode, testTensor } from "../../helpers/onnx_models.ts";

Deno.test("readOnnx() pads as SAME says, and adds a Pad before it", async () => {
  const padded = (attributes: TestNode["attributes"], pads?: readonly number[]) =>
    readModel({
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
    readMiddle([
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
  assertEquals(await readMiddle([{ op: "GlobalMaxPool", inputs: ["conv"], outputs: ["y"] }]), [
    { kind: "maxpool2d", kernel: 8, stride: 8, padding: 0 },
  ]);
  const both = { ...three, pads: [1, 1, 1, 1], "ceil_mode": 1, "count_include_pad": 1 };
  await assertRejects(() => pool("AveragePool", both), FormatError, "some padding that counts as zeros");
});
