/**
 * Prunes ONNX files as users do, and runs what comes out in onnxruntime: its logits are those of model.safetensors, to
 * 1e-4 of the largest.
 */
import { assert, assertEquals } from "@std/assert";
import { readSafetensors } from "../../src/io/safetensors.ts";
import { readOnnx } from "../../src/io/onnx/read.ts";
import { encodeOnnx } from "../../src/io/onnx/write.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { pruneReportSchema } from "../../src/report/prune_report.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { runTask } from "../helpers/command.ts";
import { checkLogits, runOnnx, type RuntimeTensor, runtimeTest } from "../helpers/onnx_runtime.ts";
import { sharedPath } from "../helpers/shared.ts";
import { tinyDataset, tinyDatasetFiles } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { weightTensors } from "../helpers/weight_files.ts";

/** Runs a test in a folder of its own. */
async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs `prune` into a folder and returns its report and its models. */
async function prune(out: string, flags: readonly string[]) {
  const { code, stdout, stderr } = await runTask("prune", [
    ...flags,
    ...["--no-compare", "--rounds=1", "--finetune-epochs=0", "--tune=off", `--out=${out}`],
  ]);
  assertEquals(code, 0, stderr);
  const report = pruneReportSchema.parse(JSON.parse(await Deno.readTextFile(`${out}/report.json`)));
  const names = (await Array.fromAsync(Deno.readDir(out))).map(({ name }) => name).toSorted();
  const read = (name: string) => names.includes(name) ? Deno.readFile(`${out}/${name}`) : undefined;
  return { report, stdout, onnx: await read("model.onnx"), safetensors: await read("model.safetensors") };
}

/** Runs a pruned model in onnxruntime beside its safetensors file; returns the names of its input and output. */
async function checkRuns(
  { onnx, safetensors }: Pick<Awaited<ReturnType<typeof prune>>, "onnx" | "safetensors">,
  x: RuntimeTensor,
): Promise<readonly string[]> {
  const { names, ...y } = await runOnnx(onnx!, x);
  for (const [model, bytes] of [["model.safetensors", safetensors!], ["model.onnx", onnx!]] as const) {
    const checks = await checkLogits({ model, bytes }, x, y);
    assertEquals(checks.map(({ passed }) => passed), [true], JSON.stringify(checks));
  }
  return names;
}

Deno.test({
  name: "prune writes ONNX beside safetensors if the model was read from ONNX, or if it is told to",
  ...runtimeTest,
  fn: () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/data`);
      for (const [name, bytes] of Object.entries(tinyDatasetFiles(tinyDataset()))) {
        await Deno.writeFile(`${folder}/data/${name}`, bytes);
      }
      const graph = tinyGraph(), { input: { channels, height, width } } = graph;
      const parameters = new Map(
        weightTensors(graph).map(({ name, values }) => [name, values as Float32Array]),
      );
      const valueNames = { input: "images", output: "scores" };
      const original = encodeOnnx({ graph, parameters, masks: new Map(), valueNames });
      await Deno.writeFile(`${folder}/net.onnx`, original);
      const x = {
        shape: [3, channels, height, width],
        values: Float32Array.from({ length: 3 * channels * height * width }, (_, i) => i % 7 / 7),
      };
      const flags = [`--data=${folder}/data`, "--sparsity=0.6"];
      const pruned = await prune(`${folder}/a`, [...flags, `--model=${folder}/net.onnx`]);
      assertEquals(await checkRuns(pruned, x), ["images", "scores"]);
      assert(
        pruned.stdout.includes(
          `Written: ${folder}/a/report.json, ${folder}/a/model.safetensors, ${folder}/a/model.onnx, `,
        ),
      );
      const none = await prune(`${folder}/b`, [...flags, `--model=${folder}/net.onnx`, "--no-onnx"]);
      assertEquals([none.onnx, none.safetensors], [undefined, pruned.safetensors]);
      // Nothing of an earlier run stays beside the model of this one.
      const over = await prune(`${folder}/a`, [
        ...flags,
        `--model=${folder}/net.onnx`,
        ...["--no-onnx", "--force", "--no-compact"],
      ]);
      assertEquals(over.onnx, undefined);
      const left = [...Deno.readDirSync(`${folder}/a`)].map(({ name }) => name).sort();
      assertEquals(left, ["model.safetensors", "report.html", "report.json", "times.json"]);
      const told = await prune(`${folder}/c`, [`--model=${folder}/b/model.safetensors`, ...flags, "--onnx"]);
      assertEquals(await checkRuns(told, x), ["input", "logits"]);
    }),
});

const network = sharedPath("onnx/resnet20-cifar10.onnx"), data = sharedPath("data/cifar-10-batches-bin");

Deno.test({
  name:
    "prune makes a ResNet of PyTorch's exporter smaller, by channels and by weights, and onnxruntime runs both",
  ignore: !network || !data,
  ...runtimeTest,
  fn: () =>
    inFolder(async (folder) => {
      const { tensors } = readSafetensors(
        await Deno.readFile(network!.replace(".onnx", ".safetensors")),
        "x",
      );
      const all = tensors.get("x")!, count = 4 * 3 * 32 * 32;
      const bytes = all.bytes.slice(0, 4 * count);
      const x = { shape: [4, 3, 32, 32], values: new Float32Array(bytes.buffer) };
      const flags = [
        `--model=${network}`,
        `--data=${data}`,
        "--limit=200",
        "--test-limit=50",
        "--refit=layers",
      ];
      const narrow = await prune(`${folder}/narrow`, [
        ...flags,
        ...["--granularity=channel", "--target-multiply-adds=0.5"],
      ]);
      const { before, after } = narrow.report.cost;
      assert(after.multiplyAdds <= 0.5 * before.multiplyAdds);
      const original = await Deno.readFile(network!);
      assertEquals(await checkRuns(narrow, x), (await runOnnx(original, x)).names);
      assert(narrow.onnx!.length < 0.6 * original.length, `${narrow.onnx!.length} bytes`);
      const sparse = await prune(`${folder}/sparse`, [...flags, "--sparsity=0.8"]);
      await checkRuns(sparse, x);
      const size = { height: 32, width: 32 }, name = "model.onnx";
      const { graph, masks } = await readOnnx(sparse.onnx!, { name, size, files: denoFiles });
      const prunable = layOutParameters(graph).parameters.filter(({ prunable }) => prunable);
      const weights = prunable.reduce((sum, { count }) => sum + count, 0);
      const kept = [...masks.values()].reduce(
        (sum, mask) => sum + mask.filter((keep) => keep === 1).length,
        0,
      );
      assert(kept / weights < 0.25, `${kept} of ${weights} weights are kept`);
    }),
});
