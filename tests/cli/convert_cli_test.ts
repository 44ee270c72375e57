import { assertEquals, assertStringIncludes } from "@std/assert";
import { encodeModel } from "../../src/io/model_file.ts";
import { runTask } from "../helpers/command.ts";
import { onnxFile, testTensor } from "../helpers/onnx_models.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { weightTensors } from "../helpers/weight_files.ts";

Deno.test("convert writes safetensors as ONNX and back, and says what is missing", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const task = { channels: 3, height: 8, width: 8, classes: 2 };
    const graph = seedNetwork(task, { conv1: 2, conv2: 3, fc1: 4 });
    const stored = encodeModel({
      graph,
      parameters: new Map(weightTensors(graph).map(({ name, values }) => [name, values as Float32Array])),
      masks: new Map(),
      normalization: { mean: [0.5, 0.5, 0.5], std: [1, 1, 1] },
      classes: ["a", "b"],
    });
    const [a, b, c] = ["a.safetensors", "b.onnx", "c.safetensors"].map((name) => `${folder}/${name}`);
    await Deno.writeFile(a, stored);
    for (const files of [[a, b], [b, c]]) assertEquals((await runTask("convert", files)).errors, []);
    assertEquals(await Deno.readFile(c), await Deno.readFile(a));
    await Deno.writeFile(
      b,
      onnxFile({
        nodes: [
          { op: "Flatten", inputs: ["x"], outputs: ["flat"] },
          { op: "Gemm", inputs: ["flat", "w"], outputs: ["logits"], attributes: { transB: 1 } },
        ],
        tensors: { w: testTensor(2, 192) },
      }),
    );
    assertStringIncludes((await runTask("convert", [b, c])).errors[0], "expected --mean and --std");
    assertEquals((await runTask("convert", [b, c, "--mean=0,0,0", "--std=1,1,1"])).errors, []);
    assertStringIncludes(
      (await runTask("convert", [b, `${folder}/net.pt`])).errors[0],
      "two files that end in",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
