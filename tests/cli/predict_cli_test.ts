import { assert, assertEquals, assertMatch } from "@std/assert";
import { loadModel, openModel } from "../../src/api/load_model.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { runTask } from "../helpers/command.ts";
import { deviceOf } from "../helpers/devices.ts";
import { idxFile } from "../helpers/idx_files.ts";
import { shardFiles } from "../helpers/shard_files.ts";
import { tinyDataset, tinyDatasetFiles, tinySize } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { weightFile } from "../helpers/weight_files.ts";

const dataset = tinyDataset(), classes = ["0", "1", "2", "3"];

/** Runs a test in a folder with the tiny data set in three forms, and weights of a tiny network. */
async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const write = async (name: string, files: Record<string, Uint8Array>) => {
    await Deno.mkdir(`${folder}/${name}`);
    for (const [file, bytes] of Object.entries(files)) {
      await Deno.writeFile(`${folder}/${name}/${file}`, bytes);
    }
  };
  try {
    await write("idx", tinyDatasetFiles(dataset));
    await write("shards", shardFiles(dataset, { shardRows: 30 }));
    const images = idxFile([40, tinySize, tinySize], dataset.test.pixels);
    await Deno.writeFile(`${folder}/photos`, images);
    await Deno.writeFile(`${folder}/weights.safetensors`, weightFile(tinyGraph()));
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("predict --json prints what the library predicts, of each format and of images without labels", () =>
  inFolder(async (folder) => {
    const model = `--model=${folder}/weights.safetensors`;
    const loaded = await loadModel({ model: `${folder}/weights.safetensors` }, {
      files: denoFiles,
      task: dataset,
    });
    using opened = openModel(await deviceOf(), loaded, { task: dataset });
    const want = await opened.predict(dataset.test), train = await opened.predict(dataset.train);
    const scale = [`--mean=${dataset.mean}`, `--std=${dataset.std}`];
    const runs: readonly [readonly string[], names: readonly string[], typeof want][] = [
      [[`--images=${folder}/idx`], classes, want],
      [[`--images=${folder}/idx`, "--split=train", "--limit=0"], classes, train],
      [[`--images=${folder}/shards`], dataset.classes, want],
      [[`--images=${folder}/photos`, ...scale], classes, want],
    ];
    for (const [flags, names, { labels, probabilities }] of runs) {
      const { code, stdout, stderr } = await runTask("predict", [model, ...flags, "--json", "--top=2"]);
      assertEquals(code, 0, stderr);
      const { predictions, ...rest } = JSON.parse(stdout);
      assertEquals(rest.classes, names);
      assertEquals(predictions.length, labels.length);
      for (const [i, { index, top }] of predictions.entries()) {
        assertEquals([index, top.length, top[0].class, top[0].name], [i, 2, labels[i], names[labels[i]]]);
        for (const { class: label, probability } of top) {
          // The other process may have subgroups and thus another order of sums.
          assert(Math.abs(probability - probabilities[4 * i + label]) < 1e-4, `${index}: ${probability}`);
        }
        assert(top[0].probability >= top[1].probability);
      }
    }
  }));

Deno.test("predict prints a line per image: index, name and probability", () =>
  inFolder(async (folder) => {
    const flags = [`--model=${folder}/weights.safetensors`, `--images=${folder}/shards`, "--limit=3"];
    const { code, stdout, stderr } = await runTask("predict", flags);
    assertEquals(code, 0, stderr);
    const lines = stdout.trimEnd().split("\n");
    assertMatch(lines[0], /^image +class +probability$/);
    lines.slice(2).forEach((line, i) =>
      assertMatch(line, RegExp(`^ *${i}  (first|second|third|fourth) +[01]\\.\\d{4}$`))
    );
    assertEquals(lines.length, 5);
  }));

Deno.test("predict refuses bad input with one line", () =>
  inFolder(async (folder) => {
    const model = `--model=${folder}/weights.safetensors`, images = `--images=${folder}/idx`;
    const wrong: readonly [readonly string[], RegExp][] = [
      [[images], /Cannot predict "--model": it is missing/],
      [[model], /Cannot predict "--images": it is missing/],
      [[model, `--images=${folder}/absent`], /absent": there is no such folder/],
      [[model, `--images=${folder}/weights.safetensors`], /weights\.safetensors": magic 0x/],
      [
        [model, `--images=${folder}/photos`],
        /neither it nor images without labels say how images are normalised/,
      ],
      [[model, `--images=${folder}/photos`, "--split=test"], /--split": .* has no splits/],
      [
        ["--model=lenet", `--images=${folder}/photos`],
        /photos": without labels it does not say how many classes lenet tells apart/,
      ],
      [[model, images, "--split=all"], /"--split": "all"/],
      [[model, images, "--top=0"], /"--top": 0, expected a whole number, at least 1/],
      [[model, images, "--limit=-1"], /"--limit": -1/],
    ];
    await Promise.all(wrong.map(async ([args, pattern]) => {
      const { code, stdout, errors, stderr } = await runTask("predict", args);
      assertEquals([code, stdout, errors.length], [1, "", 1], stderr);
      assertMatch(errors[0], pattern);
    }));
  }));
