import { assertEquals, assertRejects } from "@std/assert";
import { denoFiles } from "../../src/deno/files.ts";
import { FileError, FormatError, ShapeError } from "../../src/errors.ts";
import { type NewTensor, writeSafetensors } from "../../src/io/safetensors.ts";
import { verifyGoldens } from "../../src/verify/verify.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { onnxFile, testTensor } from "../helpers/onnx_models.ts";
import { sharedPath } from "../helpers/shared.ts";

const weight = testTensor(2, 12), x = testTensor(3, 3, 2, 2);
const logits = [0, 1, 2].map((image) =>
  [0, 1].map((o) =>
    weight.floats!.slice(12 * o, 12 * o + 12).reduce(
      (sum, value, i) => sum + value * x.floats![12 * image + i],
      0,
    )
  )
);

/** A linear layer on flattened images, with a function behind it or without. */
const network = (output?: string) =>
  onnxFile({
    nodes: [
      { op: "Flatten", inputs: ["x"], outputs: ["flat"] },
      { op: "Gemm", inputs: ["flat", "w"], outputs: ["logits"], attributes: { transB: 1 } },
      ...(output ? [{ op: output, inputs: ["logits"], outputs: ["y"] }] : []),
    ],
    tensors: { w: weight },
    input: ["N", 3, 2, 2],
  });

const floats = (name: string, shape: readonly number[], values: readonly number[]): NewTensor => ({
  name,
  dtype: "F32",
  shape: [...shape],
  values: Float32Array.from(values),
});
const given = floats("x", x.shape, x.floats!);

const verify = async (tensors: readonly NewTensor[], bytes = network()) =>
  await verifyGoldens(await deviceOf(), { bytes: writeSafetensors(tensors), name: "net.safetensors" }, {
    sources: { files: memoryFiles({ "net.onnx": bytes }) },
  });

Deno.test("verifyGoldens() compares the output of a network, and of the function at its end", async () => {
  const rows = (change: (row: readonly number[]) => readonly number[]) =>
    floats("y", [3, 2], logits.flatMap((row) => change(row)));
  const sum = (row: readonly number[]) => row.reduce((sum, value) => sum + Math.exp(value), 0);
  const outputs = [
    [undefined, rows((row) => row)],
    ["Softmax", rows((row) => row.map((value) => Math.exp(value) / sum(row)))],
    ["LogSoftmax", rows((row) => row.map((value) => value - Math.log(sum(row))))],
    ["Sigmoid", rows((row) => row.map((value) => 1 / (1 + Math.exp(-value))))],
  ] as const;
  for (const [output, y] of outputs) {
    const [check, ...others] = await verify([given, y], network(output));
    assertEquals([check.name, check.passed, others.length], ["y", true, 0], `${output}: ${check.error}`);
  }
  const [wrong] = await verify([given, rows((row) => row.map((value) => value * 1.0002))]);
  assertEquals(wrong.passed, false);
});

Deno.test("verifyGoldens() refuses an output without its input, other shapes, and a network that is absent", async () => {
  const y = floats("y", [3, 2], logits.flat());
  await assertRejects(() => verify([y]), FormatError, "x");
  await assertRejects(() => verify([given]), FormatError, "y");
  await assertRejects(() => verify([given, floats("y", [2, 3], logits.flat())]), ShapeError, "y of (2, 3)");
  await assertRejects(() => verify([floats("x", [4, 1, 3, 3], x.floats!), y]), ShapeError, "3 x 2 x 2");
  const gpu = await deviceOf();
  const absent = { bytes: writeSafetensors([given, y]), name: "other.safetensors" };
  const options = { sources: { files: memoryFiles() } };
  await assertRejects(() => verifyGoldens(gpu, absent, options), FileError, "other.onnx");
});

const folder = sharedPath("onnx");

for (
  const name of [
    "resnet20-cifar10",
    "seed",
    "dense-concat",
    "leaky-avg-fixed-batch",
    "mobile-silu-unfolded",
    "mobile-relu6",
    "mobile-hardswish-se",
  ]
) {
  Deno.test({
    name: `verifyGoldens() passes the output of ${name}.onnx`,
    ignore: folder === undefined,
    async fn() {
      const path = `${folder}/${name}.safetensors`, bytes = await Deno.readFile(path);
      const checks = await verifyGoldens(await deviceOf(), { bytes, name: path }, {
        sources: { files: denoFiles },
      });
      assertEquals(checks.map(({ name, passed }) => [name, passed]), [["y", true]]);
    },
  });
}
