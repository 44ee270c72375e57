import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { writeSafetensors } from "../../src/io/safetensors.ts";
import { runTask } from "../helpers/command.ts";
import { tinyDataset, tinyDatasetFiles } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { weightFile } from "../helpers/weight_files.ts";

const lines = (text: string) => text.trimEnd().split("\n");

/** y = x W^T of one number each, with the wanted y. */
function linearCase(y: number): Uint8Array {
  const tensor = (name: string, value: number) =>
    ({ name: `linear.0.${name}`, dtype: "F32", shape: [1, 1], values: Float32Array.of(value) }) as const;
  const tensors = Object.entries({ x: 2, w: 3, dy: 5, y, dx: 15, dw: 10 }).map(([name, value]) =>
    tensor(name, value)
  );
  return writeSafetensors(tensors);
}

async function withFiles(
  files: Readonly<Record<string, Uint8Array>>,
  run: (path: (name: string) => string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, bytes] of Object.entries(files)) await Deno.writeFile(`${folder}/${name}`, bytes);
    await run((name) => `${folder}/${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("verify prints a line a comparison and ends with the counts", () =>
  withFiles({ good: linearCase(6), bad: linearCase(7) }, async (path) => {
    const good = await runTask("verify", [path("good")]);
    assertEquals([good.code, good.errors], [0, []], good.stderr);
    assertEquals(lines(good.stdout).length, 5, "the adapter, three comparisons, the counts");
    assertMatch(good.stdout, /^ok +linear\.0 y: largest error \S+, allowed \S+$/m);
    assertEquals(lines(good.stdout).at(-1), "3 passed, 0 failed");
    const both = await runTask("verify", ["--read-path=storage", path("good"), path("bad")]);
    assertEquals(both.code, 1);
    assertMatch(both.stdout, /^FAILED linear\.0 y: largest error 1\.00e\+0, allowed 7\.00e-5$/m);
    assertEquals(lines(both.stdout).at(-1), "5 passed, 1 failed");
  }));

Deno.test("verify fails on a file in which it finds nothing to check", () =>
  withFiles({ nothing: writeSafetensors([]), good: linearCase(6) }, async (path) => {
    const { code, stdout } = await runTask("verify", [path("nothing"), path("good")]);
    assertEquals(code, 1);
    assertMatch(stdout, /^FAILED .*nothing: it holds nothing to check$/m);
    assertEquals(lines(stdout).at(-1), "3 passed, 1 failed");
  }));

Deno.test("verify names a file that is absent or damaged, and checks the others", () =>
  withFiles({ damaged: Uint8Array.of(1, 2, 3), good: linearCase(6) }, async (path) => {
    for (const name of ["absent", "damaged"]) {
      const { code, stdout, errors } = await runTask("verify", [path(name), path("good")]);
      assertEquals([code, errors.length], [1, 1]);
      assertMatch(errors[0], new RegExp(`^error: Cannot read ".*${name}`));
      assertEquals(lines(stdout).at(-1), "3 passed, 1 failed");
    }
  }));

Deno.test("verify says where it looked for a network's weights and images, and takes others by flags", () => {
  const predictions = { name: "predictions", dtype: "I32", shape: [2], values: Int32Array.of(0, 0) } as const;
  return withFiles({ "net.safetensors": writeSafetensors([predictions]) }, async (path) => {
    const args = [path("net.safetensors")], folder = path("").slice(0, -1);
    const weights =
      `its weights are not at ${folder}/../models/net-cifar10.safetensors, expected their path by --model`;
    const images =
      `its images are not in ${folder}/../data/cifar-10-batches-bin, expected their folder by --data`;
    const { code: missing, errors } = await runTask("verify", args);
    assertEquals([missing, errors.length], [1, 1]);
    assertStringIncludes(errors[0], images);
    await Deno.mkdir(`${folder}/images`);
    for (const [name, bytes] of Object.entries(tinyDatasetFiles(tinyDataset()))) {
      await Deno.writeFile(`${folder}/images/${name}`, bytes);
    }
    const data = `--data=${folder}/images`;
    const without = await runTask("verify", [data, ...args]);
    assertStringIncludes(without.errors[0], weights);
    await Deno.writeFile(`${folder}/weights.safetensors`, weightFile(tinyGraph()));
    const { code, stdout, stderr } = await runTask("verify", [
      ...[data, `--model=${folder}/weights.safetensors`],
      ...args,
    ]);
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^ok +predictions that differ: largest error \S+, allowed 2\.00e\+0$/m);
    assertMatch(stderr, /^evaluate dense +0 %$/m);
    assertMatch(stderr, /^evaluate dense +100 %$/m);
  });
});

Deno.test("verify refuses no file, unknown flags and unknown choices", async () => {
  for (const args of [[], ["--sparsity=0.5", "a"], ["--adapter=best", "a"], ["--read-path=", "a"]]) {
    const { code, stdout, errors } = await runTask("verify", args);
    assertEquals([code, errors.length, stdout], [1, 1, ""], args.join(" "));
  }
});

Deno.test("verify --help prints and stops", async () => {
  const { code, stdout } = await runTask("verify", ["--help"]);
  assertEquals(code, 0);
  assertMatch(stdout, /^Usage: .*verify/);
});
