import { assert, assertEquals, assertRejects } from "@std/assert";
import { FormatError } from "../../src/errors.ts";
import { readSafetensors, tensorFloats, tensorIntegers, writeSafetensors } from "../../src/io/safetensors.ts";
import { verifyGoldens } from "../../src/verify/verify.ts";
import { deviceOf } from "../helpers/devices.ts";
import { sharedPath } from "../helpers/shared.ts";
import { readPaths } from "../kernels/harness.ts";
import { goldenFile, integerTensor } from "./golden_file.ts";

const ops = sharedPath("goldens/ops.safetensors"), training = sharedPath("goldens/training.safetensors");

async function verify(bytes: Uint8Array, path: "auto" | "storage" | "texture" = "auto") {
  const checks = await verifyGoldens(await deviceOf(path), { bytes, name: "goldens" });
  return { names: checks.map(({ name }) => name), failed: checks.filter(({ passed }) => !passed) };
}

for (const [name, path] of Object.entries({ ops, training })) {
  Deno.test({
    name: `verifyGoldens() passes all of PyTorch's ${name}`,
    ignore: path === undefined,
    async fn() {
      const { names, failed } = await verify(await Deno.readFile(path!));
      assertEquals(failed, []);
      assert(names.length > 50, `${names.length} checks`);
    },
  });
}

Deno.test({
  name: "verifyGoldens() fails exactly the check whose expected value is wrong",
  ignore: ops === undefined,
  async fn() {
    const { tensors, metadata } = readSafetensors(await Deno.readFile(ops!), "ops");
    const copies = [...tensors].map(([name, tensor]) => {
      const shape = [...tensor.shape];
      return tensor.dtype === "F32"
        ? { name, dtype: "F32" as const, shape, values: tensorFloats(tensor, name).slice() }
        : { name, dtype: "I32" as const, shape, values: tensorIntegers(tensor, name).slice() };
    });
    const corrupted = [
      "conv2d.0.dw",
      "linear.0.y",
      "maxpool2d.0.dx",
      "batchnorm2d.0.running_var_after",
      "cross_entropy.0.loss",
    ];
    for (const name of corrupted) {
      const { values } = copies.find((tensor) => tensor.name === name)!;
      const last = values.length - 1, before = values[last];
      // More than any tolerance: 1e-5 of the largest value.
      values[last] += 1e-3 * Math.max(1, ...values.map(Math.abs));
      const { failed } = await verify(writeSafetensors(copies, metadata));
      assertEquals(failed.map((check) => check.name), [name.replace(/\.(?=\w+$)/, " ")]);
      values[last] = before;
    }
  },
});

for (const path of readPaths) {
  Deno.test(`verifyGoldens() passes other shapes, strides, paddings and widths, on ${path}`, async () => {
    const { names, failed } = await verify(goldenFile(), path);
    assertEquals(failed, []);
    const cases = new Set(names.map((name) => name.split(" ")[0]));
    for (const kind of ["conv2d", "linear", "maxpool2d", "avgpool2d", "batchnorm2d", "cross_entropy"]) {
      assert([...cases].some((name) => name.startsWith(`${kind}.`)), kind);
    }
  });
}

Deno.test("verifyGoldens() checks nothing in a file without a case that it knows", async () => {
  const nothing = writeSafetensors([{
    name: "other.0.x",
    dtype: "F32",
    shape: [1],
    values: Float32Array.of(1),
  }]);
  assertEquals((await verify(nothing)).names, []);
  assertEquals((await verify(writeSafetensors([]))).names, []);
});

Deno.test("verifyGoldens() names the file and what is damaged in it", async () => {
  const refuse = (bytes: Uint8Array, part: string) => assertRejects(() => verify(bytes), FormatError, part);
  await refuse(new Uint8Array(4), "goldens");
  const x = { name: "conv2d.0.x", dtype: "F32", shape: [1, 1, 1, 1], values: Float32Array.of(1) } as const;
  await refuse(writeSafetensors([x]), 'Cannot read reference "goldens, conv2d.0.y": no such tensor');
  const flat = { ...x, shape: [1, 1] };
  await refuse(writeSafetensors([flat]), "2 dimensions, expected 4");
  const labels = integerTensor("cross_entropy.0.labels", [0]);
  const logits = { ...x, name: "cross_entropy.0.logits", shape: [1, 1] };
  await refuse(writeSafetensors([labels, logits]), "cross_entropy.0.loss");
  const text = { "cross_entropy.0": "no JSON" };
  await refuse(writeSafetensors([labels, logits], text), "it is not JSON");
});
