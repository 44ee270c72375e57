/** Tests of the command line's flags. */

import { z } from "zod";
import assert from "node:assert/strict";
import {
  type FlagField,
  formatHelp,
  ownFlags,
  parseFlags,
  runFlags,
  selectFlags,
} from "../../src/cli/flags.ts";
import { checkSelectionActs } from "../../src/cli/run_config.ts";
import { parseRunConfig, type RunConfig } from "../../src/config/config.ts";
import { configFlags, keysOfFlags } from "../../src/config/words.ts";
import { ConfigError, FileError, FormatError } from "../../src/errors.ts";
import { fields as pruneFields, readRun } from "../../src/cli/prune.ts";
import { configOf } from "../helpers/config.ts";
import { memoryFiles } from "../helpers/memory_files.ts";

const fields: readonly FlagField[] = [...configFlags, ...runFlags.fields];

/** Parses flags split at spaces, as prune does. */
function parse(line: string): Readonly<Record<string, unknown>> {
  return parseFlags(line.split(" ").filter((word) => word !== ""), fields).values;
}

/** Asserts that a command line is refused with one line that holds all the given texts. */
function assertRefused(line: string, ...texts: readonly string[]): void {
  assert.throws(() => parse(line), (error) => {
    assert(error instanceof ConfigError, String(error));
    for (const text of texts) assert(error.message.includes(text), error.message);
    return true;
  });
}

Deno.test("parseFlags() reads every key of the configuration by its short name and by its path", () => {
  assert(configFlags.length > 80);
  for (const field of configFlags) {
    const { key, kind, choices, isOnlyTaken } = field;
    const samples = {
      texts: ["x,y", ["x", "y"]],
      numbers: ["1,.5", [1, 0.5]],
      integer: ["1", 1],
      number: ["1", 1],
    } as const;
    const [text, value] = kind === "choice"
      ? [choices!.at(-1)!, choices!.at(-1)]
      : key === "granularity"
      ? ["4x4", "4x4"]
      : kind === "text"
      ? ["x", "x"]
      : samples[kind as keyof typeof samples] ?? [];
    for (const name of new Set([field.flag, key])) {
      if (kind === "boolean" || kind === "part") {
        const taken = isOnlyTaken ? { [key]: false } : { [key]: true };
        assert.deepEqual(parse(`--${isOnlyTaken ? "no-" : ""}${name}`), taken);
        assert.deepEqual(parse(`--no-${name}`), { [key]: false });
      } else {
        assert.deepEqual(parse(`--${name} ${text}`), { [key]: value });
        assert.deepEqual(parse(`--${name}=${text}`), { [key]: value });
      }
    }
  }
});

Deno.test("keysOfFlags() gives the keys that flags set, words before the keys that they stand for", () => {
  const keysOf = (line: string) => keysOfFlags(parse(line));
  const cases: readonly (readonly [string, unknown])[] = [
    ["--epochs 3 --seed 2", { seed: 2, train: { epochs: 3 } }],
    ["--momentum .5 --optimizer sgd", {
      train: { optimizer: { kind: "sgd", momentum: 0.5, nesterov: false } },
    }],
    ["--optimizer nesterov", { train: { optimizer: { kind: "sgd", nesterov: true } } }],
    ["--train.optimizer.kind sgd", { train: { optimizer: { kind: "sgd" } } }],
    ["--prune.score.temperature validation", { prune: { score: { temperature: "validation" } } }],
    ["--prune.after.refit.selectionSteps 5", { prune: { after: { refit: { selectionSteps: 5 } } } }],
    ["--milestones 0.5,0.75", { train: { schedule: { milestones: [0.5, 0.75] } } }],
    ["--granularity 2:4", { prune: { goal: { pattern: { keep: 2, of: 4 } } } }],
    ["--granularity 4x2", { prune: { select: { granularity: { rows: 4, channels: 2 } } } }],
    ["--target-bytes 0.5", { prune: { goal: { cost: "bytes", max: 0.5 } } }],
    ["--posterior-temperature auto", { prune: { score: { temperature: "validation" } } }],
    ["--refit layers", { prune: { after: { refit: { by: "layers" } } } }],
    ["--no-refit", { prune: { after: { refit: undefined } } }],
    ["--selection obs", { prune: { after: { refit: { selectionSteps: 3 } } } }],
    ["--protect conv1,fc2", { prune: { select: { protect: ["conv1", "fc2"] } } }],
    ["--distill 0.5 --teacher t.safetensors", {
      train: { distillation: { share: 0.5, teacher: "t.safetensors" } },
    }],
  ];
  for (const [line, keys] of cases) assert.deepEqual(keysOf(line), keys, line);
});

Deno.test("parseFlags() reads numbers strictly", () => {
  for (const [text, value] of [["1e-3", 1e-3], ["0.5", 0.5], [".5", 0.5], ["+2", 2], ["-1", -1], ["5.", 5]]) {
    assert.deepEqual(parse(`--learning-rate ${text}`), { "train.learningRate": value });
  }
  for (const text of ["12abc", "0x10", "NaN", "Infinity", "1,5", "1e", "."]) {
    assertRefused(`--learning-rate ${text}`, "--learning-rate", `"${text}"`, "a finite number");
  }
  assertRefused("--epochs=", "--epochs", '""', "a whole number, at least 0");
});

Deno.test("parseFlags() reads a word in place of a number where there is one", () => {
  const flag = "--posterior-temperature";
  assert.deepEqual(parse(`${flag} auto`), { "posterior-temperature": "auto" });
  assert.deepEqual(parse(`${flag}=4`), { "posterior-temperature": 4 });
  assertRefused(`${flag} best`, flag, '"best"', "auto or a finite number from 1e-12 to");
  assertRefused("--learning-rate auto", "--learning-rate", '"auto"');
});

Deno.test("parseFlags() refuses unknown flags and offers the nearest", () => {
  assertRefused("--epoch 3", '"--epoch"', 'expected "--epochs"');
  assertRefused("--train.epoch 3", 'expected "--train.epochs"');
  assertRefused("--rat 3", "expected such as --", ", --", "; --help all lists them");
  assertRefused("--no-epochs", '"--no-epochs"', "an unknown flag");
  assertRefused("--no-comparee", "an unknown flag");
  assertRefused("-x", '"-x"', "an unknown flag");
  assertRefused("--__proto__ 1", "an unknown flag");
});

Deno.test("parseFlags() refuses missing values, and values that booleans do not take", () => {
  assertRefused("--epochs", '"--epochs"', "no value", "a whole number");
  assertRefused("--epochs --batch 3", '"--epochs"', "no value");
  assertRefused("--out -h2", '"--out"', "no value");
  assertRefused("--no-compare=yes", '"--no-compare"', '"yes"', "no value");
  assertRefused("--protect a,,b", '"--protect"', '"a,,b"', "a list of names of layers");
  assertRefused("--mean 0.5,x", '"--mean"', '"0.5,x"', "a list of numbers");
  assertRefused("--granularity 4:2", '"--granularity"', '"4:2"', "N:M such as 2:4");
});

Deno.test("parseFlags() refuses repeated flags and stray arguments", () => {
  assertRefused("--epochs 3 --epochs 3", '"--epochs"', "given twice", "once");
  assertRefused("--compare --no-compare", '"--no-compare"', "given twice");
  assertRefused("--epochs 3 --train.epochs 3", '"--train.epochs"', "given twice");
  assertRefused("train", '"train"', "flags only");
  assertRefused("-- --epochs", '"--epochs"', "flags only");
});

Deno.test("parseFlags() refuses a choice that is none", () => {
  assertRefused("--optimizer rmsprop", '"--optimizer"', '"rmsprop"', "one of sgd, momentum");
});

Deno.test("parseFlags() keeps other arguments where a command takes them", () => {
  const parsed = parseFlags(["a", "--seed", "3", "b", "--", "-c"], fields, { positionals: true });
  assert.deepEqual([parsed.positionals, parsed.values], [["a", "b", "-c"], { seed: 3 }]);
});

Deno.test("parseFlags() sees --help and -h anywhere, whatever else is wrong", () => {
  for (const argv of [["--help"], ["-h"], ["--nonsense", "x", "--help"]]) {
    assert.equal(parseFlags(argv, fields).help, "brief");
  }
  assert.equal(parseFlags(["--help", "all"], fields).help, "all");
  assert.equal(parseFlags(["--seed", "1"], fields).help, undefined);
});

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
  assert.deepEqual(await goal(), { sparsity: 0.5 });
  assert.deepEqual(await goal("--config=run.json"), { sparsity: 0.8 });
  assert.deepEqual(await goal("--config=run.json", "--confidence=.9"), { confidence: 0.9 });
  assert.deepEqual(await goal("--config=other.json", "--sparsity=.9"), { sparsity: 0.9 });
  assert.deepEqual(await goal("--config=other.json", "--confidence=.5"), { confidence: 0.5, regrow: 0.95 });
  const { train: { optimizer } } = await resolve("--config=run.json", "--optimizer=adam");
  assert.deepEqual(optimizer, { ...configOf({ optimizer: "adam" }).train.optimizer, weightDecay: 0 });
  assert.equal((await resolve("--config=other.json", "--no-validation")).validation, undefined);
});

Deno.test("readRun() reads and refuses what training is told on the command line", async () => {
  const resolve = (line: string) => configTold(parseFlags(line.split(" "), fields), memoryFiles({}));
  const { train, validation } = await resolve(
    "--no-decay-bias --clip-norm 1 --schedule one-cycle --averaging ema --validation 500 --train.optimizer.nesterov",
  );
  const { nesterov, decayBias, clipNorm } = train.optimizer as Extract<
    typeof train.optimizer,
    { kind: "sgd" }
  >;
  assert.deepEqual([nesterov, decayBias, clipNorm], [true, false, 1]);
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
    "none unless there is prune.allowedDrop, a confidence auto, a temperature chosen by them, or more than one epoch";
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
    "report.json": JSON.stringify({ version: 2, adapter: "x", cores, config, accuracy: {} }),
    "older.json": JSON.stringify({ version: 1, adapter: "x", config: { epochs: 2 } }),
    "other.json": JSON.stringify({ version: 3, adapter: "x", config }),
    "run.json": "{}",
  });
  const parse = (line: string) => parseFlags(line.split(" "), fields);
  const resolved = await configTold(parse("--config report.json --out b"), files);
  // What a run was told once is not refused for what it does not read.
  assert.deepEqual(resolved, { ...config, output: { ...config.output, folder: "b" } });
  assert.equal((await configTold(parse("--config older.json"), files)).train.epochs, 2);
  const { prune: { goal } } = await configTold(parse("--config report.json --sparsity .9"), files);
  assert.deepEqual(goal, { sparsity: 0.9 });
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
    '"prune.goal.sparsity": 1.5 from the command line',
    "[0, 1)",
  );
});

Deno.test("formatHelp() names the flags that most people need with their defaults, and examples", () => {
  const common = ["sparsity", "refit", "config"], examples = ["./winnow prune --sparsity 0.8"];
  const help = formatHelp({
    usage: "./winnow prune [FLAGS]",
    summary: "Prunes.",
    fields,
    common,
    examples,
  });
  assert.deepEqual([...help.matchAll(/^ {2}(--\S+(?: all)?)/gm)].map(([, flag]) => flag), [
    ...["--sparsity", "--refit", "--config", "--help", "--help all"],
  ]);
  assert.match(help, /--sparsity NUMBER +Goal: fraction of the weights to remove. Default 0.5.\n/);
  assert.match(help, /\nExamples:\n {2}\.\/winnow prune --sparsity 0.8$/);
  assert(help.split("\n").every((line) => line.length <= 100));
});

Deno.test("formatHelp() names every flag under its branch, in lines of at most 100 characters", () => {
  const help = formatHelp({ usage: "./winnow prune [FLAGS]", summary: "Prunes.", fields, common: [] }, "all");
  const replaced = fields.map((field) => "at" in field ? field.at : undefined);
  const shown = fields.filter(({ key }) => !replaced.includes(key));
  assert(shown.length > 85);
  for (const { flag, kind, default: preset, isOnlyTaken } of shown) {
    const isNegated = isOnlyTaken || kind === "boolean" && preset === true;
    assert(help.includes(isNegated ? `--no-${flag}` : `--${flag}`), flag);
  }
  assert.match(
    help,
    /\ntrain.schedule:\n[^:]*\(cosine: [^:]*:[^:]*--rate-floor NUMBER +Share of the learning rate[^:]*\(floor\)/,
  );
  assert(help.split("\n").every((line) => line.length <= 100));
  // Branches are headings, in the order of the tree; what has none comes first.
  const headings = [...help.matchAll(/^(\S.*):$/gm)].map(([, heading]) => heading);
  assert.deepEqual(headings, [
    ...["Flags", "data", "model", "device", "train", "train.optimizer", "train.schedule", "train.averaging"],
    ...[
      "train.distillation",
      "train.distillation.features",
      "validation",
      "prune.goal",
      "prune.goal.pattern",
      "prune",
    ],
    ...["prune.score", "prune.select", "prune.after", "prune.after.refit", "prune.finetune", "output"],
  ]);
  assert.match(
    formatHelp({ usage: "x", summary: "Does.", fields: runFlags.fields }),
    /\nFlags:\n {2}--config/,
  );
});

Deno.test("ownFlags() makes flags of schemas, fills in their defaults, and refuses what they refuse by the flag", () => {
  const own = ownFlags({
    top: z.int().min(1).default(3).describe("Most."),
    lastOne: z.string().optional().describe("--last: The last."),
  });
  assert.deepEqual(
    own.fields.map((
      { key, flag, kind, default: preset, description },
    ) => [key, flag, kind, preset, description]),
    [
      ["top", "top", "integer", 3, "Most."],
      ["lastOne", "last", "text", undefined, "The last."],
    ],
  );
  const read = (...argv: readonly string[]) =>
    own.read(parseFlags(argv, [...own.fields, ...selectFlags("seed")]).values);
  assert.deepEqual([read(), read("--top=1", "--last=x", "--seed=2")], [{ top: 3 }, { top: 1, lastOne: "x" }]);
  assert.throws(() => read("--top=0"), {
    message: 'Cannot use "--top": 0, expected a whole number, at least 1',
  });
});

Deno.test("selectFlags() takes the flags of keys and of all below a branch", () => {
  assert.deepEqual(selectFlags("data.folder", "train.averaging").map(({ flag }) => flag), [
    ...["data", "averaging", "average-from", "recalibrate", "ema-decay"],
  ]);
  assert(pruneFields.length > configFlags.length);
});
