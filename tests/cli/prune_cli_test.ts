import deno from "../../deno.json" with { type: "json" };
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { decodeModel } from "../../src/io/model_file.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { pruneReportSchema } from "../../src/report/prune_report.ts";
import { runTask, startTask } from "../helpers/command.ts";
import { shardFiles } from "../helpers/shard_files.ts";
import { tinyDataset, tinyDatasetFiles } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { weightFile } from "../helpers/weight_files.ts";

const quick = ["--epochs=1", "--batch=16", "--rounds=1", "--no-compare"];

/** Runs a test in a folder with the tiny data set in `data` and its model in `model.json`. */
async function inFolder(run: (folder: string, flags: string[]) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/data`);
    for (const [name, bytes] of Object.entries(tinyDatasetFiles(tinyDataset()))) {
      await Deno.writeFile(`${folder}/data/${name}`, bytes);
    }
    await Deno.writeTextFile(`${folder}/model.json`, JSON.stringify(tinyGraph()));
    await run(folder, [
      `--data=${folder}/data`,
      `--model=${folder}/model.json`,
      `--out=${folder}/out`,
      ...quick,
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The names in a folder, or undefined where there is none. */
async function namesIn(folder: string): Promise<string[] | undefined> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** What a run writes. */
const written = ["model.safetensors", "report.html", "report.json", "times.json"];

Deno.test("prune writes report and model, and prints tables", () =>
  inFolder(async (folder, flags) => {
    const { code, stdout, stderr, errors } = await runTask("prune", [...flags, "--sparsity=0.25"]);
    assertEquals([code, errors], [0, []], stderr);
    assertEquals(await namesIn(`${folder}/out`), written);
    const report = pruneReportSchema.parse(JSON.parse(await Deno.readTextFile(`${folder}/out/report.json`)));
    assertEquals(report.versions, { winnow: deno.version, deno: Deno.version.deno });
    assertEquals(report.parameters.removed, Math.floor(0.25 * report.parameters.prunable));
    const { standardError, ...accuracy } = report.accuracy, { finetuned } = accuracy;
    assertEquals(report.start, "random");
    assertEquals(standardError?.finetuned, Math.sqrt(finetuned * (1 - finetuned) / report.dataset.test));
    // Reports of before have neither.
    const { start: _, ...older } = { ...report, accuracy };
    assertEquals(pruneReportSchema.parse(older), older);
    const { masks } = decodeModel(await Deno.readFile(`${folder}/out/model.safetensors`), "model");
    assertEquals(masks.size, 4);
    assertMatch(stdout, /^untrained +\d+\.\d \+- \d+\.\d %\ntrained +/m);
    assertStringIncludes(stderr, "adapter: ");
    assertMatch(stderr, /train.*loss/);
  }));

Deno.test("prune starts from weights of a file without training first, and goes on from what it pruned", () =>
  inFolder(async (folder, [data, , , ...rest]) => {
    const weights = `${folder}/weights.safetensors`;
    await Deno.writeFile(weights, weightFile(tinyGraph()));
    const flags = [data, ...rest.filter((flag) => !flag.startsWith("--epochs"))];
    const run = async (args: readonly string[]) => {
      const { code, errors, stdout, stderr } = await runTask("prune", [...flags, ...args]);
      assertEquals([code, errors], [0, []], stderr);
      const out = args.find((flag) => flag.startsWith("--out="))!.slice("--out=".length);
      const report = pruneReportSchema.parse(JSON.parse(await Deno.readTextFile(`${out}/report.json`)));
      assertEquals([report.config.train.epochs, report.accuracy.untrained], [0, report.accuracy.trained]);
      assertEquals(report.start, "given");
      assertMatch(stdout, /^as loaded +\d+\.\d \+- \d+\.\d %\npruned by /m);
      return { report, model: decodeModel(await Deno.readFile(`${out}/model.safetensors`), "model") };
    };
    const first = await run([
      `--model=${weights}`,
      "--mean=0.5",
      "--std=0.25",
      `--out=${folder}/a`,
      "--sparsity=0.2",
    ]);
    assertEquals(first.report.model, "cnn");
    assertEquals(first.model.normalization, { mean: [0.5], std: [0.25] });
    const again = await run([`--model=${folder}/a/model.safetensors`, `--out=${folder}/b`, "--sparsity=0.4"]);
    assertEquals(again.report.accuracy.untrained, first.report.accuracy.finetuned);
    assertEquals(again.model.normalization, first.model.normalization);
    assertEquals(again.report.parameters.removed, Math.floor(0.4 * again.report.parameters.prunable));
    for (const [name, mask] of first.model.masks) {
      const later = again.model.masks.get(name)!;
      assert(
        mask.every((keep, i) => keep !== 0 || later[i] === 0),
        `${name}: what was removed stays removed`,
      );
    }
  }));

Deno.test("prune takes shards, in memory and streamed, and names a shard that is cut", () =>
  inFolder(async (folder, flags) => {
    await Deno.mkdir(`${folder}/shards`);
    for (const [name, bytes] of Object.entries(shardFiles(tinyDataset(), { shardRows: 20 }))) {
      await Deno.writeFile(`${folder}/shards/${name}`, bytes);
    }
    const run = (out: string, ...more: string[]) =>
      runTask(
        "prune",
        [...flags.slice(1), `--data=${folder}/shards`, `--out=${folder}/${out}`, ...more]
          .filter((flag) => flag !== `--out=${folder}/out`),
      );
    const reports = [];
    for (const [out, more] of [["memory", []], ["streamed", ["--stream=on"]]] as const) {
      const { code, stderr } = await run(out, ...more);
      assertEquals(code, 0, stderr);
      reports.push(
        pruneReportSchema.parse(JSON.parse(await Deno.readTextFile(`${folder}/${out}/report.json`))),
      );
    }
    const [memory, streamed] = reports;
    assertEquals(streamed.dataset, memory.dataset);
    assertEquals(streamed.accuracy.untrained, memory.accuracy.untrained);
    assertEquals(streamed.parameters, memory.parameters);
    await Deno.truncate(`${folder}/shards/train-3.bin`, 1000);
    const { code, errors } = await run("cut", "--stream=on");
    assertEquals([code, errors.length], [1, 1]);
    assertMatch(errors[0], /^error: Cannot read ".*train-3\.bin": 1000 bytes, truncated/);
  }));

Deno.test("prune --resume goes on where a killed run was, and with no other configuration", () =>
  inFolder(async (folder, flags) => {
    const started = [...flags, "--epochs=30", "--checkpoint-every=4"].filter((flag) => flag !== "--epochs=1");
    const child = await startTask("prune", started), output = child.output();
    const path = `${folder}/out/checkpoint/run.safetensors`;
    while (await Deno.stat(path).then(() => false, () => true)) {
      await new Promise((done) => setTimeout(done, 20));
    }
    child.kill("SIGKILL");
    await output;
    assertEquals(await namesIn(`${folder}/out`), [".winnow.lock", "checkpoint"]);
    const refused = await runTask("prune", [`--resume=${folder}/out`, "--epochs=9", "--batch=8"]);
    assertEquals([refused.code, refused.errors.length], [1, 1], refused.stderr);
    assertMatch(
      refused.errors[0],
      /Cannot resume ".*": train.epochs was 30 and is 9; train.batch was 16 and is 8, expected/,
    );
    const resumed = await runTask("prune", [`--resume=${folder}/out/`]);
    assertEquals([resumed.code, resumed.errors], [0, []], resumed.stderr);
    assertEquals(await namesIn(`${folder}/out`), written);
    const whole = await runTask("prune", [
      ...started.filter((flag) => !flag.startsWith("--out")),
      `--out=${folder}/whole`,
    ]);
    assertEquals(whole.code, 0, whole.stderr);
    assertEquals(
      await Deno.readFile(`${folder}/out/model.safetensors`),
      await Deno.readFile(`${folder}/whole/model.safetensors`),
    );
    const again = await runTask("prune", [`--resume=${folder}/out`]);
    assertMatch(
      again.errors[0],
      /Cannot resume ".*out": its run has ended: it holds report\.json and no checkpoint/,
    );
    const nowhere = await runTask("prune", [`--resume=${folder}/nowhere`]);
    assertMatch(
      nowhere.errors[0],
      /Cannot resume ".*nowhere": there is no such folder, expected the folder of a run/,
    );
  }));

Deno.test("prune run again from its report takes the cores that it names, and refuses those of another adapter", () =>
  inFolder(async (folder, flags) => {
    const readReport = async (path: string) =>
      pruneReportSchema.parse(JSON.parse(await Deno.readTextFile(path)));
    const again = async (report: string, out: string) => {
      const { code, stderr } = await runTask("prune", [`--config=${report}`, `--out=${folder}/${out}`]);
      assertEquals(code, 0, stderr);
      return await readReport(`${folder}/${out}/report.json`);
    };
    const first = await runTask("prune", [...flags, "--tune=off"]);
    assertEquals(first.code, 0, first.stderr);
    const report = await readReport(`${folder}/out/report.json`), edited = `${folder}/edited.json`;
    // One that every device has, in place of what it takes by itself.
    const cores = Object.fromEntries(
      Object.keys(report.cores!).map((key) => [key, "gemm/software/register_8x8, 1 split"]),
    );
    assert(JSON.stringify(cores) !== JSON.stringify(report.cores));
    await Deno.writeTextFile(edited, JSON.stringify({ ...report, cores }));
    const other = await again(edited, "other");
    assertEquals([other.cores, other.config], [cores, {
      ...report.config,
      output: { ...report.config.output, folder: `${folder}/other` },
    }]);
    await again(`${folder}/other/report.json`, "repeated");
    const [one, two] = await Promise.all(
      ["other", "repeated"].map((out) => Deno.readFile(`${folder}/${out}/model.safetensors`)),
    );
    assertEquals(one, two);
    const unknown = { ...cores, [Object.keys(cores)[0]]: "gemm/software/subgroup_1024x4, 1 split" };
    await Deno.writeTextFile(edited, JSON.stringify({ ...report, adapter: "a GPU", cores: unknown }));
    const { code, stderr, errors } = await runTask("prune", [`--config=${edited}`, `--out=${folder}/none`]);
    assertEquals([code, errors.length], [1, 1]);
    assertMatch(
      errors[0],
      /Cannot compute products as the report by "gemm\/software\/subgroup_1024x4": .* has gemm\//,
    );
    assertMatch(stderr, /on another device than the report's results may differ: device was a GPU and is /);
    assertEquals(await namesIn(`${folder}/none`), undefined);
  }));

Deno.test("prune refuses bad input with one line and exit code 1, and leaves nothing", () =>
  inFolder(async (folder, flags) => {
    const write = (name: string, text: string) => Deno.writeTextFile(`${folder}/${name}`, text);
    const other = seedNetwork({ channels: 3, height: 32, width: 32, classes: 10 });
    await write("other.json", JSON.stringify(other));
    await write("damaged.json", "{");
    await write("config.json", '{"sparcity": 0.5}');
    await write("file", "in the way");
    await Deno.mkdir(`${folder}/short`);
    for (const [name, bytes] of Object.entries(tinyDatasetFiles(tinyDataset()))) {
      await Deno.writeFile(
        `${folder}/short/${name}`,
        name.startsWith("train-i") ? bytes.slice(0, -1) : bytes,
      );
    }
    const replace = (flag: string, value: string) =>
      flags.map((old) => old.startsWith(`--${flag}=`) ? `--${flag}=${value}` : old);
    const wrong: readonly [readonly string[], RegExp][] = [
      [
        [...flags, "--sparsity=1"],
        /Cannot use "prune.goal.sparsity": 1 from --sparsity, expected .*\[0, 1\)/,
      ],
      [[...flags, "--sparsity=0.5", "--confidence=0.5"], /sparsity/],
      [
        [...flags, "--refit=layers", "--selection=obs"],
        /Cannot use "--selection": "obs".*expected "score"/,
      ],
      [[...flags, "--sparsty=0.5"], /Cannot use "--sparsty": an unknown flag, expected .*--sparsity/],
      [[...flags, "--learning-rate=NaN"], /--learning-rate/],
      [[...flags, `--config=${folder}/config.json`], /sparcity/],
      [replace("data", `${folder}/short`), /train-images-idx3-ubyte.*truncated/],
      [replace("data", `${folder}/nowhere`), /nowhere/],
      [replace("model", `${folder}/other.json`), /Cannot use model "seed": it takes images of 3 x 32 x 32/],
      [replace("model", `${folder}/damaged.json`), /Cannot read model ".*damaged\.json"/],
      [replace("out", `${folder}/file`), /file/],
    ];
    const before = await namesIn(folder);
    const results = wrong.map(async ([told, pattern], i) => {
      // All at once, so each in a folder of its own.
      const args = told.map((flag) => flag === `--out=${folder}/out` ? `${flag}-${i}` : flag);
      const { code, stdout, stderr, errors } = await runTask("prune", args);
      assertEquals([code, errors.length, stdout], [1, 1, ""], `${args.at(-1)}: ${stderr}`);
      assertMatch(errors[0], pattern);
      assert(!stderr.includes("    at "), "no stack");
    });
    await Promise.all(results);
    assertEquals(await namesIn(folder), before);
  }));

Deno.test("prune makes a folder for each run, and says where it is and how to go on", () =>
  inFolder(async (folder, flags) => {
    const given = [...flags.filter((flag) => !flag.startsWith("--out")), "--tune=off"];
    const reports: string[] = [];
    for (let run = 0; run < 2; run++) {
      const { code, stdout, stderr } = await runTask("prune", given, { cwd: folder });
      assertEquals(code, 0, stderr);
      const [, out, model] = /^Written: (\S+)\/report\.json(?: and|,) ([^\s,]+)/m.exec(stdout)!;
      assertMatch(out, /^out\/\d{4}-\d\d-\d\d-\d{4}-seed-idx(-2)?$/);
      assertStringIncludes(
        stdout,
        `\nMeasure it: ./winnow evaluate --model ${model} --data ${folder}/data\n`,
      );
      assertEquals(await Deno.readLink(`${folder}/out/latest`), out.slice("out/".length));
      assertEquals(await namesIn(`${folder}/${out}`), written);
      reports.push(await Deno.readTextFile(`${folder}/${out}/report.json`));
    }
    assertEquals((await namesIn(`${folder}/out`))?.length, 3);
    assertEquals(reports[0], reports[1], "a report does not say where it was written");
  }));

Deno.test("prune takes neither out nor force from a file, and writes over nothing", () =>
  inFolder(async (folder, flags) => {
    await Deno.mkdir(`${folder}/victim/checkpoint`, { recursive: true });
    const theirs = [`${folder}/victim/report.json`, `${folder}/victim/checkpoint/run.safetensors`];
    for (const path of theirs) await Deno.writeTextFile(path, "theirs");
    const config = { out: "victim", force: true }, place = { cwd: folder };
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
    await Deno.writeTextFile(
      `${folder}/report.json`,
      JSON.stringify({ version: 1, adapter: "x", config }),
    );
    const given = [...flags.filter((flag) => !flag.startsWith("--out")), "--tune=off"];
    for (const name of ["config.json", "report.json"]) {
      const { code, stderr } = await runTask("prune", [...given, `--config=${name}`], place);
      assertEquals(code, 0, stderr);
      assertStringIncludes(
        stderr,
        `ignored in ${name}: output.folder (victim) and output.force, which only flags set`,
      );
    }
    for (const path of theirs) assertEquals(await Deno.readTextFile(path), "theirs");
    assertEquals((await namesIn(`${folder}/out`))?.length, 3);
  }));

Deno.test("prune refuses a folder that it cannot write to before it trains", () =>
  inFolder(async (folder, flags) => {
    await Deno.mkdir(`${folder}/out`);
    const { code, stderr, errors } = await runTask("prune", flags, {
      denied: [`--deny-write=${folder}/out/.winnow.lock`],
    });
    assertEquals([code, errors.length], [1, 1], stderr);
    assertMatch(errors[0], /Cannot write to folder ".*out": .*expected a folder that can be written to/);
    // Deno advises a flag that the command does not take.
    assert(!errors[0].includes("run again"), errors[0]);
    assert(!stderr.includes("adapter: "), stderr);
  }));

Deno.test("prune refuses an output folder with something in it, unless forced", () =>
  inFolder(async (folder, flags) => {
    await Deno.mkdir(`${folder}/out`);
    await Deno.writeTextFile(`${folder}/out/notes.txt`, "mine");
    const { code, errors } = await runTask("prune", flags);
    assertEquals([code, errors.length], [1, 1]);
    assertMatch(
      errors[0],
      /Cannot write to folder ".*out": it holds 1 entry \(notes\.txt\), expected .*--force/,
    );
    assertEquals(await namesIn(`${folder}/out`), ["notes.txt"]);
    const forced = await runTask("prune", [...flags, "--force"]);
    assertEquals(forced.code, 0, forced.stderr);
    assertEquals(await namesIn(`${folder}/out`), [
      ...["model.safetensors", "notes.txt", "report.html", "report.json", "times.json"],
    ]);
    assertEquals(await Deno.readTextFile(`${folder}/out/notes.txt`), "mine");
  }));

Deno.test("prune stops where the loss is not finite, and keeps the last good state alone", () =>
  inFolder(async (folder, flags) => {
    const { code, stderr, errors } = await runTask("prune", [...flags, "--learning-rate=1e12"]);
    assertEquals([code, errors.length], [1, 1], stderr);
    assertMatch(
      errors[0],
      /^error: Cannot train at step "\d": .* not finite/,
    );
    assertEquals(await namesIn(`${folder}/out`), ["last-good.safetensors"]);
    const { parameters } = decodeModel(await Deno.readFile(`${folder}/out/last-good.safetensors`), "model");
    for (const [name, values] of parameters) {
      assert(values.every((value) => value !== 0 && Math.abs(value) <= 1), `${name} is as it was drawn`);
    }
  }));

Deno.test("prune --help and --print-config print and stop", async () => {
  const help = await runTask("prune", ["--help"]);
  assertEquals(help.code, 0);
  assertMatch(help.stdout, /^Usage: .*prune[\s\S]*--sparsity[\s\S]*--help all[\s\S]*Examples:/);
  assert(!help.stdout.includes("--gamma"), "only what most people need");
  assertMatch((await runTask("prune", ["--help", "all"])).stdout, /train\.schedule:\n[\s\S]*--gamma NUMBER/);
  const printed = await runTask("prune", ["--print-config", "--seed=3"]);
  assertEquals([printed.code, JSON.parse(printed.stdout).seed], [0, 3]);
});
