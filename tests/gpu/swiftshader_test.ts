/**
 * A run on SwiftShader, Chromium's software adapter, where it is installed: as a Vulkan driver, in a process of its own. It
 * has other subgroups, other limits and another compiler than llvmpipe, and stands for adapters that nobody has tried.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { runPrune } from "../../src/runs/prune.ts";
import { configOf } from "../helpers/config.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

/** Where Chromium's packages put the file that tells Vulkan about SwiftShader. */
const places = [
  "/usr/lib/chromium",
  "/usr/lib/chromium-browser",
  "/usr/lib64/chromium-browser",
  "/opt/google/chrome",
  "/snap/chromium/current/usr/lib/chromium-browser",
].map((folder) => `${folder}/vk_swiftshader_icd.json`);

async function findDriver(): Promise<string | undefined> {
  for (const path of places) {
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  console.log("skipped: a run on SwiftShader, which is not installed (Debian: chromium)");
  return undefined;
}

/** After so long a kernel is taken to hang in the compiler; the run takes seconds. */
const limitMs = 300_000;

const driver = await findDriver();
const script = fileURLToPath(new URL("../helpers/resume_process.ts", import.meta.url));

Deno.test(
  "a run trains and prunes on SwiftShader, reading through storage buffers",
  { ignore: !driver },
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      const config = { epochs: 8, batch: 16, learningRate: 0.05, rounds: 2, seed: 1, compare: false };
      const { success, signal, stderr } = await new Deno.Command("deno", {
        args: ["run", "--allow-read", "--allow-write", "--allow-env", script, folder, JSON.stringify(config)],
        // Both names of the variable: older loaders know the second alone.
        env: {
          VK_DRIVER_FILES: driver!,
          VK_ICD_FILENAMES: driver!,
          DENO_WEBGPU_BACKEND: "vulkan",
          NO_COLOR: "1",
        },
        stdout: "null",
        stderr: "piped",
        signal: AbortSignal.timeout(limitMs),
      }).output();
      const text = await Deno.readTextFile(`${folder}/report.json`).catch(() => undefined);
      // As other software drivers it may crash while it is unloaded.
      assert(text !== undefined, `${success} ${signal}: ${new TextDecoder().decode(stderr)}`);
      const { adapter, gpu, accuracy, training } = JSON.parse(text!);
      assertMatch(adapter, /SwiftShader/);
      assertEquals([gpu.backend, gpu.readPath, gpu.subgroupSize], ["vulkan", "storage", null]);
      // A quarter would be chance.
      assert(accuracy.finetuned > 0.5, `accuracy ${accuracy.finetuned}`);
      const { report } = await runPrune(await deviceOf(), {
        config: configOf(config),
        dataset: tinyDataset(),
        graph: tinyGraph(),
      });
      // Six steps from the same weights on the same batches; sums run in other orders.
      const [loss, wanted] = [training, report.training!].map(([{ epochs }]) => epochs[0].loss);
      assert(Math.abs(loss - wanted) < 1e-3 * wanted, `loss ${loss}, expected ${wanted}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
