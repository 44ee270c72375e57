/** Tests of what a run is told: by flags, files, reports and checkpoints. */

import assert from "node:assert/strict";
import { parseFlags } from "../../src/cli/flags.ts";
import { fields, readRun } from "../../src/cli/prune.ts";
import { checkSelectionActs } from "../../src/cli/run_config.ts";
import { parseRunConfig, type RunConfig } from "../../src/config/config.ts";
import { ConfigError, FileError, FormatError } from "../../src/errors.ts";
import { configOf } from "../helpers/config.ts";
import { memoryFiles } from "../helpers/memory_files.ts";

/** How a sparsity is reached where nothing is said. */
const way = { schedule: "gradual", rounds: 3 };

/** The configuration that a prune run is told. */
const configTold = async (...[flags, files, told]: Parameters<typeof readRun>) =>
  (await readRun(flags, files, told)).config;

Deno.test("readRun() lets flags override the file, and the file the defaults", async () => {
  const files = memoryFiles({
    "run.json": '{"train": {"epochs": 2, "batch": 32}}',
    "flat.json": '{"epochs": 2, "batch": 32}',
  });
  for (const name of ["run.json", "flat.json"]) {
    const flags = parseFlags(["--config", name, "--epochs", "3"], fields);
    const { train: { epochs, batch }, seed } = await configTold(flags, files);
    assert.deepEqual([epochs, batch, seed], [3, 32, 0]);
  }
});

Deno.test("readRun() lets a goal, or another kind, on the command line replace the file's", async () => {
  const files = memoryFiles({
    "run.json":
      '{"prune": {"goal": {"sparsity": 0.8}}, "train": {"optimizer": {"momentum": 0.5, "weightDecay": 0}}}',
    "other.json": '{"prune": {"goal": {"confidence": 0.9, "regrow": 0.95}}, "validation": {"examples": 9}}',
  });
  const resolve = (...argv: readonly string[]) => configTold(parseFlags(argv, fields), files);
  const goal = async (...argv: readonly string[]) => (await resolve(...argv)).prune.goal;
  assert.deepEqual(await goal(), { sparsity: 0.5, ...way });
  assert.deepEqual(await goal("--config=run.json"), { sparsity: 0.8, ...way });
  assert.deepEqual(await goal("--config=run.json", "--confidence=.9"), { confidence: 0.9 });
  assert.deepEqual(await goal("--config=other.json", "--sparsity=.9"), { sparsity: 0.9, ...way });
  assert.deepEqual(await goal("--config=other.json", "--confidence=.5"), { confidence: 0.5, regrow: 0.95 });
  const { train: { optimizer } } = await resolve("--config=run.json", "--optimizer=adam");
  assert.deepEqual(optimizer, { ...configOf({ optimizer: "adam" }).train.optimizer, weightDecay: 0 });
  assert.equal((await resolve("--config=other.json", "--no-validation")).validation, undefined);
});

Deno.test("readRun() takes away what a file sets of any key, by --no- before its name", async () => {
  const files = memoryFiles({
    "run.json": JSON.stringify({
      data: { folder: "DATA" },
      train: {
        epochs: 3,
        batch: 8,
        optimizer: { kind: "adam", beta1: 0.5, clip: { norm: 1 } },
        distillation: { share: 0.5, teacher: "t.safetensors" },
      },
      validation: { examples: 9, allowedDrop: 0.1 },
      prune: {
        goal: { confidence: 0.9, regrow: 0.95, rounds: 7 },
        select: { protect: ["fc"] },
        after: { refit: { by: "blocks", steps: 9 } },
      },
    }),
  });
  const resolve = (line: string) =>
    configTold(parseFlags(["--config", "run.json", ...line.split(" ")], fields), files);
  const { data, train, validation, prune } = await resolve(
    "--no-data --no-clip-norm --no-teacher --no-allowed-drop --no-regrow --no-rounds --no-protect --no-batch",
  );
  assert.deepEqual([data.folder, train.optimizer.clip, train.batch], [undefined, undefined, 64]);
  assert.deepEqual(train.distillation, { share: 0.5, temperature: 4 });
  assert.deepEqual(validation, { examples: 9, patience: 0, measure: "accuracy" });
  assert.deepEqual([prune.goal, prune.select.protect], [{ confidence: 0.9 }, []]);
  const usual = configOf({ epochs: 3, batch: 8 });
  const bare = await resolve(
    "--no-data --no-optimizer --no-clip --no-distill --no-validation --no-confidence --no-regrow --no-rounds --no-protect --no-refit",
  );
  assert.deepEqual(bare, usual);
});

Deno.test("readRun() reads and refuses what training is told on the command line", async () => {
  const resolve = (line: string) => configTold(parseFlags(line.split(" "), fields), memoryFiles({}));
  const { train, validation } = await resolve(
    "--no-decay-bias --clip-norm 1 --schedule one-cycle --averaging ema --validation 500 --optimizer nesterov",
  );
  const { kind, decayBias, clip } = train.optimizer;
  assert.deepEqual([kind, decayBias, clip], ["nesterov", false, { norm: 1 }]);
  assert.deepEqual([train.schedule.kind, train.averaging.kind], ["one-cycle", "ema"]);
  assert.deepEqual(validation, { examples: 500, patience: 0, measure: "accuracy" });
  await assert.rejects(resolve("--patience 3"), {
    name: "ConfigError",
    message:
      'Cannot use "validation.examples": absent from the command line, expected a whole number, at least 1',
  });
});

Deno.test("readRun() refuses validation examples that nothing is chosen by", async () => {
  const files = memoryFiles({ "run.json": '{"epochs": 1, "validation": 50}' });
  const resolve = (line: string, resumed?: RunConfig) =>
    configTold(parseFlags(line.split(" "), fields), files, { resumed });
  const wanted =
    "none unless there is validation.allowedDrop, a confidence auto, a temperature chosen by them, or more than one epoch";
  for (
    const idle of ["--epochs 1", "--model a.safetensors", "--epochs 1 --finetune-epochs 0 --stop-on loss"]
  ) {
    await assert.rejects(resolve(`--validation 500 ${idle}`), (error: Error) => {
      assert(error instanceof ConfigError && error.message.includes(wanted), error.message);
      return error.message.includes('"validation.examples": 500 examples that nothing is chosen by');
    });
  }
  await assert.rejects(resolve("--config run.json"), {
    message: /"validation.examples": 50 examples that nothing/,
  });
  const read = [
    ...["", "--epochs 1 --finetune-epochs 2", "--epochs 1 --allowed-drop 0.01"],
    ...["--epochs 1 --posterior-temperature auto", "--model a.safetensors --epochs 2"],
  ];
  for (const more of read) await resolve(`--validation 500 ${more}`.trim());
  await resolve("--config run.json --epochs 2");
  // A run that was begun goes on.
  await resolve("--resume out", configOf({ validation: 500, epochs: 1 }));
});

Deno.test("readRun() takes neither out nor force from a file, and says so", async () => {
  const keys = { epochs: 3, out: "victim", force: true }, heard: string[] = [];
  const files = memoryFiles({
    "keys.json": JSON.stringify(keys),
    "report.json": JSON.stringify({ version: 1, adapter: "x", config: keys }),
    "tame.json": JSON.stringify({ force: false }),
  });
  const resolve = async (line: string) => {
    const more = { hear: (text: string) => void heard.push(text) };
    const { train, output } = await configTold(parseFlags(line.split(" "), fields), files, more);
    return { epochs: train.epochs, out: output.folder, force: output.force };
  };
  for (const name of ["keys.json", "report.json"]) {
    assert.deepEqual(await resolve(`--config ${name}`), { epochs: 3, out: undefined, force: false });
    assert.deepEqual(heard.splice(0), [
      `ignored in ${name}: output.folder (victim) and output.force, which only flags set`,
    ]);
    const given = await resolve(`--config ${name} --out mine --force`);
    assert.deepEqual([given, heard], [{ epochs: 3, out: "mine", force: true }, []]);
  }
  assert.deepEqual([(await resolve("--config tame.json")).force, heard], [false, []]);
});

Deno.test("readRun() refuses --out and --force beside --resume", async () => {
  const resumed = configOf({ epochs: 1, out: "a", force: true });
  const resolve = (line: string) =>
    configTold(parseFlags(line.split(" "), fields), memoryFiles({}), { resumed });
  for (const flag of ["--out b", "--force"]) {
    await assert.rejects(resolve(`--resume a ${flag}`), {
      name: "ConfigError",
      message: `Cannot use "${flag.split(" ")[0]}": it is there beside --resume, expected one of them: ` +
        "a run goes on in its folder",
    });
  }
  // The report of a run that goes on is that of one that did not have to.
  assert.deepEqual(await resolve("--resume a"), resumed);
});

Deno.test("checkSelectionActs() refuses --selection obs where a whole network loses weights once", () => {
  const flags = parseFlags(["--selection=obs"], fields), without = parseFlags([], fields);
  const whole = new Map([["conv1.weight", Float32Array.of(1, 1)]]);
  for (const weights of [undefined, { masks: whole }]) {
    assert.throws(() => checkSelectionActs(flags, { removals: 1, weights }), {
      name: "ConfigError",
      message: /Cannot use "--selection": "obs", .*expected "score" where a whole network loses/,
    });
    checkSelectionActs(flags, { removals: 2, weights });
    checkSelectionActs(without, { removals: 1, weights });
  }
  const pruned = { masks: new Map([...whole, ["conv2.weight", Float32Array.of(1, 0)]]) };
  checkSelectionActs(flags, { removals: 1, weights: pruned });
});

Deno.test("readRun() takes a report, and what it says of the run beside", async () => {
  const config = parseRunConfig({
    prune: { goal: { confidence: 0.9 } },
    train: { epochs: 1 },
    validation: { examples: 9 },
  }, "a test");
  const cores = { "a product": "gemm/software/register_8x8, 1 split" };
  const files = memoryFiles({
    "report.json": JSON.stringify({ version: 3, adapter: "x", cores, config, accuracy: {} }),
    "older.json": JSON.stringify({ version: 1, adapter: "x", config: { epochs: 2 } }),
    "other.json": JSON.stringify({ version: 4, adapter: "x", config }),
    "run.json": "{}",
  });
  const parse = (line: string) => parseFlags(line.split(" "), fields);
  const resolved = await configTold(parse("--config report.json --out b"), files);
  // What a run was told once is not refused for what it does not read.
  assert.deepEqual(resolved, { ...config, output: { ...config.output, folder: "b" } });
  assert.equal((await configTold(parse("--config older.json"), files)).train.epochs, 2);
  const { prune: { goal } } = await configTold(parse("--config report.json --sparsity .9"), files);
  assert.deepEqual(goal, { sparsity: 0.9, ...way });
  const earlier = async (line: string) => {
    const { earlier: run } = await readRun(parse(line), files);
    return run && [run.adapter, run.cores];
  };
  assert.deepEqual(await earlier("--config report.json"), ["x", cores]);
  assert.deepEqual(await earlier("--config older.json"), ["x", undefined]);
  assert.deepEqual([await earlier("--config run.json"), await earlier("--seed 1")], [undefined, undefined]);
  await assert.rejects(configTold(parse("--config other.json"), files), {
    name: "FormatError",
    message:
      /Cannot read report "other.json": version: .*, expected a report as prune, compare or sensitivity writes it/,
  });
});

Deno.test("readRun() names the source of what it refuses", async () => {
  const files = memoryFiles({
    "bad.json": "{",
    "unknown.json": '{"epoch": 1}',
    "list.json": "[]",
    "goal.json": '{"prune": {"goal": {"cost": "parameters", "max": 0.5}}}',
    "deep.json": '{"train": {"optimizer": {"momentum": 2}}}',
  });
  const refuse = (argv: readonly string[], kind: new (...args: never[]) => Error, ...texts: string[]) =>
    assert.rejects(configTold(parseFlags(argv, fields), files), (error) => {
      assert(error instanceof kind, String(error));
      for (const text of texts) assert(error.message.includes(text), error.message);
      return true;
    });
  await refuse(["--config", "bad.json"], FormatError, "bad.json", "expected JSON");
  await refuse(["--config", "absent.json"], FileError, "absent.json");
  await refuse(["--config", "unknown.json"], ConfigError, '"epoch"', "unknown.json", '"train.epochs"');
  await refuse(["--config", "deep.json"], ConfigError, '"train.optimizer.momentum": 2 from deep.json');
  await refuse(["--config", "list.json"], ConfigError, "[] from list.json", "an object");
  await refuse(
    ["--sparsity", "1.5"],
    ConfigError,
    '"prune.goal.sparsity": 1.5 from --sparsity',
    "[0, 1)",
  );
  const beside = ["--granularity=2:4", "--rounds=3"];
  await refuse(
    beside,
    ConfigError,
    '"prune.goal.rounds": 3 from --rounds, expected none beside prune.goal.pattern',
  );
  await refuse(
    ["--target-bytes=0.5"],
    ConfigError,
    '"prune.goal.cost": "bytes" from --target-bytes, expected another than bytes',
  );
  await refuse(
    ["--no-decay-bias", "--weight-decay=0"],
    ConfigError,
    '"train.optimizer.decayBias": false from --no-decay-bias, expected true unless',
  );
  await refuse(
    ["--no-target-bytes", "--config", "goal.json"],
    ConfigError,
    '"prune.goal.max": absent from --no-target-bytes',
  );
});
