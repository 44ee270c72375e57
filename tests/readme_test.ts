/**
 * The README's library example runs as it stands, on a tiny data set.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { idxFile } from "./helpers/idx_files.ts";

/** Writes four IDX files of 8 x 8 images whose brightness tells the class, from 4 classes. */
async function writeImages(folder: string): Promise<void> {
  for (const [prefix, count] of [["train", 100], ["t10k", 40]] as const) {
    const labels = Array.from({ length: count }, (_, i) => i % 4);
    const pixels = labels.flatMap((label, i) =>
      Array.from({ length: 64 }, (_, j) => 60 * label + (7 * i + 3 * j) % 50)
    );
    await Deno.writeFile(`${folder}/${prefix}-images-idx3-ubyte`, idxFile([count, 8, 8], pixels));
    await Deno.writeFile(`${folder}/${prefix}-labels-idx1-ubyte`, idxFile([count], labels));
  }
}

Deno.test("README.md its library example runs", async () => {
  const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
  const code = readme.match(/```ts\n([\s\S]*?)```/)?.[1] ?? "";
  assert(code.length > 0, "README.md has a TypeScript example");
  const folder = await Deno.makeTempDir();
  try {
    await writeImages(folder);
    const main = `${folder}/example.ts`, out = `${folder}/model.safetensors`;
    await Deno.writeTextFile(main, code.replace("./mod.ts", new URL("../mod.ts", import.meta.url).href));
    const config = new URL("../deno.json", import.meta.url).pathname;
    const args = [
      "run",
      "--no-prompt",
      `--config=${config}`,
      "--allow-read",
      `--allow-write=${folder}`,
      main,
      folder,
      out,
    ];
    const { success, stdout, stderr } = await new Deno.Command("deno", { args }).output();
    assert(success, new TextDecoder().decode(stderr));
    assertMatch(new TextDecoder().decode(stdout), /\d+ weights removed: accuracy 0\.\d+ -> [01]/);
    assertEquals((await Deno.stat(out)).isFile, true);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
