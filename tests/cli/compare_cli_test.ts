import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { compareReportSchema, sensitivityReportSchema } from "../../src/report/compare_report.ts";
import { runTask } from "../helpers/command.ts";
import { tinyDataset, tinyDatasetFiles } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

/** Runs a test in a folder with the tiny data set and the flags that train a tiny network on it. */
async function inFolder(run: (folder: string, flags: string[]) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/data`);
    for (const [name, bytes] of Object.entries(tinyDatasetFiles(tinyDataset()))) {
      await Deno.writeFile(`${folder}/data/${name}`, bytes);
    }
    await Deno.writeTextFile(`${folder}/model.json`, JSON.stringify(tinyGraph()));
    const flags = ["--epochs=1", "--batch=16", "--tune=off", "--sparsities=0.5,0.9"];
    await run(folder, [`--data=${folder}/data`, `--model=${folder}/model.json`, ...flags]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("compare writes results at once, skips them when run again, and refuses another configuration", () =>
  inFolder(async (folder, flags) => {
    const out = `${folder}/out`, path = `${out}/compare.json`;
    const given = [...flags, `--out=${out}`, "--variants=magnitude,random"];
    const first = await runTask("compare", [...given, "--seeds=1"]);
    assertEquals([first.code, first.errors], [0, []], first.stderr);
    assertMatch(first.stdout, /^magnitude( +\d+\.\d \+- \d+\.\d){2}$/m);
    const read = async () => compareReportSchema.parse(JSON.parse(await Deno.readTextFile(path)));
    const report = await read();
    assertEquals([report.cells.length, report.config.prune.finetune.epochs], [4, 0]);
    assertStringIncludes(await Deno.readTextFile(`${out}/compare.svg`), "<svg");
    await Deno.writeTextFile(path, JSON.stringify({ ...report, cells: report.cells.slice(1) }));
    const again = await runTask("compare", [...given, "--seeds=1"]);
    assertEquals([again.code, again.errors], [0, []], again.stderr);
    assertMatch(again.stderr, /has 3 of 4 results/);
    assertMatch(again.stderr, /taking .*trained-1\.safetensors, which/);
    const order = (cells: typeof report.cells) => cells.map((cell) => JSON.stringify(cell)).sort();
    assertEquals(order((await read()).cells), order(report.cells));
    const other = await runTask(
      "compare",
      [...given, "--seeds=1", "--batch=8"].filter((f) => f !== "--batch=16"),
    );
    assertEquals([other.code, other.errors], [
      1,
      [
        'error: Cannot go on with "the comparison": train.batch was 16 and is 8, expected what the run was started with',
      ],
    ]);
  }));

Deno.test("compare shows the seeds that are asked for, all of them when one is added, and offers new ones", () =>
  inFolder(async (folder, flags) => {
    const out = `${folder}/out`;
    const run = async (...args: readonly string[]) => {
      const { code, errors, stdout, stderr } = await runTask("compare", args);
      assertEquals([code, errors], [0, []], stderr);
      const figure = await Deno.readTextFile(`${out}/compare.svg`);
      const [, seeds] = /before pruning, (\d seeds?)$/m.exec(stdout)!;
      const [, offer] = /^Add to it.* --resume \S+\/out --seeds (\S+)$/m.exec(stdout)!;
      return { seeds, offer, stdout, figure };
    };
    const first = await run(...flags, `--out=${out}`, "--variants=magnitude", "--seeds=1,2");
    assertEquals([first.seeds, first.offer], ["2 seeds", "0,3"]);
    const chosen = await run("--resume", out, "--seeds", "1");
    assertEquals([chosen.seeds, chosen.offer], ["1 seed", "0,3"]);
    assertStringIncludes(chosen.stdout, "+- is the standard error of an accuracy on");
    const added = await run("--resume", out, "--seeds", "0");
    assertEquals([added.seeds, added.offer], ["3 seeds", "3,4"]);
    const whole = await run("--resume", out);
    assertEquals([whole.stdout, whole.figure], [added.stdout, added.figure]);
  }));

Deno.test("compare says what was best on validation, with a temperature chosen by it, and by snr when run again", () =>
  inFolder(async (folder, flags) => {
    const out = `${folder}/out`, given = [...flags, `--out=${out}`, "--validation=16", "--seeds=1"];
    const first = await runTask("compare", [...given, "--variants=confidence/T=auto"]);
    assertEquals([first.code, first.errors], [0, []], first.stderr);
    assertMatch(first.stderr, /confidence\/T=auto at 50\.0 %, seed 1: \d+\.\d \+- \d+\.\d %; T \d/);
    const again = await runTask("compare", [...given, "--variants=confidence/T=auto,snr"]);
    assertEquals([again.code, again.errors], [0, []], again.stderr);
    assertMatch(again.stdout, /before pruning \(\d+\.\d \+- \d+\.\d % on 16 validation examples\)/);
    assertMatch(again.stdout, /Validation accuracy after removal, %\n\nvariant/);
    assertMatch(
      again.stdout,
      /^90 % +(confidence\/T=auto|snr) +\d+\.\d \+- \d+\.\d +\d\.\d{4} +\d+\.\d \+- \d+\.\d$/m,
    );
    const report = compareReportSchema.parse(JSON.parse(await Deno.readTextFile(`${out}/compare.json`)));
    assertEquals(report.cells.map(({ posteriorTemperatures: all = [] }) => all.length), [1, 1, 0, 0]);
    const names = [...Deno.readDirSync(out)].map(({ name }) => name).sort();
    assertEquals(names, [
      ...["compare.json", "compare.svg", "trained-1-variance.safetensors", "trained-1.safetensors"],
    ]);
    const third = await runTask(
      "compare",
      [...given, "--variants=snr", "--sparsities=0.7"].filter((flag) => flag !== "--sparsities=0.5,0.9"),
    );
    assertEquals([third.code, third.errors], [0, []], third.stderr);
    assertMatch(third.stderr, /taking .*trained-1-variance\.safetensors/);
  }));

Deno.test("compare refuses lists that are none", async () => {
  const { code, errors } = await runTask("compare", ["--sparsities=0.5,1"]);
  assertEquals([code, errors], [
    1,
    ['error: Cannot use "--sparsities": "0.5,1", expected fractions in [0, 1), joined by commas, none of them twice'],
  ]);
});

Deno.test("compare and sensitivity refuse --selection obs where each network loses weights once", () =>
  inFolder(async (folder, flags) => {
    const given = [...flags.filter((flag) => !flag.startsWith("--sparsities")), `--out=${folder}/out`];
    const idle = [...given, "--refit=layers", "--selection=obs", "--sparsities=0.5"];
    for (const [task, more] of [["compare", ["--variants=magnitude"]], ["sensitivity", []]] as const) {
      const { code, errors } = await runTask(task, [...idle, ...more]);
      assertEquals([code, errors.length], [1, 1]);
      assertMatch(errors[0], /Cannot use "--selection": "obs"/);
    }
  }));

Deno.test("sensitivity prints a row a layer and writes its report", () =>
  inFolder(async (folder, flags) => {
    const out = `${folder}/out`;
    const { code, stdout, stderr, errors } = await runTask("sensitivity", [...flags, `--out=${out}`]);
    assertEquals([code, errors], [0, []], stderr);
    assertMatch(stdout, /^conv1( +\d+\.\d \+- \d+\.\d){2}$/m);
    const { trained, cells } = sensitivityReportSchema.parse(
      JSON.parse(await Deno.readTextFile(`${out}/sensitivity.json`)),
    );
    assertEquals([trained.validation, cells.length], [19, 8]);
  }));

Deno.test("compare and sensitivity run again from their reports, to the same numbers", () =>
  inFolder(async (folder, flags) => {
    const lists = { compare: ["--variants=magnitude,lamp", "--seeds=3"], sensitivity: ["--seed=3"] };
    for (const task of ["compare", "sensitivity"] as const) {
      const once = `${folder}/${task}`, again = `${once}-again`;
      const first = await runTask(task, [...flags, ...lists[task], "--validation=16", `--out=${once}`]);
      assertEquals([first.code, first.errors], [0, []], first.stderr);
      const report = `${once}/${task}.json`;
      const second = await runTask(task, [`--config=${report}`, `--out=${again}`]);
      assertEquals([second.code, second.errors], [0, []], second.stderr);
      const [one, other] = await Promise.all([report, `${again}/${task}.json`].map(async (path) => {
        const { config, ...rest } = JSON.parse(await Deno.readTextFile(path));
        return { config: { ...config, output: { ...config.output, folder: "" } }, ...rest };
      }));
      assertEquals(other, one);
      assertEquals(one.cells.length, task === "compare" ? 4 : 8);
    }
  }));

Deno.test("compare takes keys from a file that flags override, and refuses those that it has not", () =>
  inFolder(async (folder, flags) => {
    const path = `${folder}/keys.json`,
      out = `${folder}/out`,
      given = [...flags, `--out=${out}`, "--seeds=1"];
    const run = async (keys: object) => {
      await Deno.writeTextFile(path, JSON.stringify(keys));
      return await runTask("compare", [...given, "--variants=magnitude", `--config=${path}`]);
    };
    const { code, errors, stderr } = await run({ batch: 8, learningRate: .01 });
    assertEquals([code, errors], [0, []], stderr);
    const { config } = JSON.parse(await Deno.readTextFile(`${out}/compare.json`));
    assertEquals([config.train.batch, config.train.learningRate], [16, .01]);
    for (
      const [keys, message] of [
        [
          { rounds: 2 },
          `Cannot use "prune.goal.rounds": a key that this command has not, in ${path}, expected keys`,
        ],
        [{ epochs: -1 }, `"train.epochs": -1 from ${path}`],
        [{ epoch: 1 }, '"epoch"'],
      ] as const
    ) {
      const refused = await run(keys);
      assertEquals([refused.code, refused.errors.length], [1, 1]);
      assertStringIncludes(refused.errors[0], message);
    }
  }));
