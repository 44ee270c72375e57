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
    const silent = await runTask("convert", [b, `${folder}/d.safetensors`]);
    assertStringIncludes(silent.errors[0], "expected --mean and --std");
    assertEquals((await runTask("convert", [b, c, "--force", "--mean=0,0,0", "--std=1,1,1"])).errors, []);
    assertStringIncludes(
      (await runTask("convert", [b, `${folder}/net.pt`])).errors[0],
      "two files that end in",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("convert writes over nothing that it was not told to, and never over what it reads", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const graph = seedNetwork({ channels: 3, height: 8, width: 8, classes: 2 }, {
      conv1: 2,
      conv2: 3,
      fc1: 4,
    });
    const model = encodeModel({
      graph,
      parameters: new Map(weightTensors(graph).map(({ name, values }) => [name, values as Float32Array])),
      masks: new Map(),
      normalization: { mean: [0, 0, 0], std: [1, 1, 1] },
      classes: ["a", "b"],
    });
    const at = (name: string) => `${folder}/${name}`;
    const [from, there] = ["a.safetensors", "there.onnx"].map(at);
    await Deno.writeFile(from, model);
    await Deno.writeTextFile(there, "theirs");
    const cases: readonly (readonly [readonly string[], string])[] = [
      [[there], `Cannot write to "${there}": it is there already, expected a new name, or --force`],
      [[from, "--force"], `Cannot write to "${from}": it is the file to read, expected another file`],
      [
        [at("x.onnx"), "--store=sparse"],
        `Cannot save model "${at("x.onnx")}": ONNX holds all weights, and store is sparse, expected dense`,
      ],
    ];
    const links: typeof cases = [
      [[at("hard.safetensors"), "--force"], "it is the file to read"],
      [[at("folder/a.safetensors"), "--force"], "it is the file to read"],
      [[at("link.onnx"), "--force"], `it is a link to ${there}, expected a file that is no link`],
      [[at("lost.onnx"), "--force"], "it is a link to nowhere, expected a file that is no link"],
    ];
    if (Deno.build.os !== "windows") {
      await Deno.link(from, at("hard.safetensors"));
      await Deno.symlink(folder, at("folder"));
      await Deno.symlink(there, at("link.onnx"));
      await Deno.symlink("nowhere", at("lost.onnx"));
    }
    for (const [args, message] of [...cases, ...Deno.build.os === "windows" ? [] : links]) {
      const { code, errors } = await runTask("convert", [from, ...args]);
      assertEquals([code, errors.length], [1, 1], args.join(" "));
      assertStringIncludes(errors[0], message);
    }
    assertEquals(await Deno.readFile(from), model);
    assertEquals(await Deno.readTextFile(there), "theirs");
    const { errors } = await runTask("convert", [from, there, "--force"]);
    assertEquals(errors, []);
    assertEquals((await runTask("convert", [there, at("back.safetensors")])).errors, []);
    assertEquals(await Deno.readFile(at("back.safetensors")), model);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
