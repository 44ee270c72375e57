/** Tests of the command line's flags. */

import assert from "node:assert/strict";
import { type FlagField, formatHelp, parseFlags, runFields } from "../../src/cli/flags.ts";
import { checkSelectionActs, readEarlierRun, resolvePruneConfig } from "../../src/cli/run_config.ts";
import { describeConfig, parsePruneConfig, type PruneConfig } from "../../src/config.ts";
import { ConfigError, FileError, FormatError } from "../../src/errors.ts";
import { memoryFiles } from "../helpers/memory_files.ts";

const fields: readonly FlagField[] = [...describeConfig(), ...runFields];

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

Deno.test("parseFlags() reads every key of the configuration", () => {
  for (const field of describeConfig()) {
    const [text, value] = field.kind === "choice"
      ? [field.choices!.at(-1)!, field.choices!.at(-1)]
      : field.kind === "text"
      ? ["x", "x"]
      : ["1", 1];
    if (field.kind === "boolean") {
      assert.deepEqual(parse(`--${field.flag}`), { [field.key]: true });
      assert.deepEqual(parse(`--no-${field.flag}`), { [field.key]: false });
    } else {
      assert.deepEqual(parse(`--${field.flag} ${text}`), { [field.key]: value });
      assert.deepEqual(parse(`--${field.flag}=${text}`), { [field.key]: value });
    }
  }
});

Deno.test("parseFlags() reads numbers strictly", () => {
  for (const [text, value] of [["1e-3", 1e-3], ["0.5", 0.5], [".5", 0.5], ["+2", 2], ["-1", -1], ["5.", 5]]) {
    assert.deepEqual(parse(`--learning-rate ${text}`), { learningRate: value });
  }
  for (const text of ["12abc", "0x10", "NaN", "Infinity", "1,5", "1e", "."]) {
    assertRefused(`--learning-rate ${text}`, "--learning-rate", `"${text}"`, "a finite number");
  }
  assertRefused("--epochs=", "--epochs", '""', "a whole number, at least 0");
});

Deno.test("parseFlags() reads a word in place of a number where there is one", () => {
  const flag = "--posterior-temperature";
  assert.deepEqual(parse(`${flag} auto`), { posteriorTemperature: "auto" });
  assert.deepEqual(parse(`${flag}=4`), { posteriorTemperature: 4 });
  assertRefused(`${flag} best`, flag, '"best"', "auto or a finite number from 1e-12 to");
  assertRefused("--learning-rate auto", "--learning-rate", '"auto"');
});

Deno.test("parseFlags() refuses unknown flags and offers the nearest", () => {
  assertRefused("--epoch 3", '"--epoch"', 'expected "--epochs"');
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
});

Deno.test("parseFlags() refuses repeated flags and stray arguments", () => {
  assertRefused("--epochs 3 --epochs 3", '"--epochs"', "given twice", "once");
  assertRefused("--compare --no-compare", '"--no-compare"', "given twice");
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
    assert.equal(parseFlags(argv, fields).help, true);
  }
  assert.equal(parseFlags(["--seed", "1"], fields).help, false);
});

Deno.test("resolvePruneConfig() lets flags override the file, and the file the defaults", async () => {
  const files = memoryFiles({ "run.json": '{"epochs": 2, "batch": 32}' });
  const flags = parseFlags(["--config", "run.json", "--epochs", "3"], fields);
  const { epochs, batch, seed } = await resolvePruneConfig(flags, files);
  assert.deepEqual([epochs, batch, seed], [3, 32, 0]);
});

Deno.test("resolvePruneConfig() lets either goal on the command line replace the file's", async () => {
  const files = memoryFiles({ "run.json": '{"sparsity": 0.8}', "other.json": '{"confidence": 0.9}' });
  const goal = async (...argv: readonly string[]) => {
    const { sparsity, confidence } = await resolvePruneConfig(parseFlags(argv, fields), files);
    return { sparsity, confidence };
  };
  assert.deepEqual(await goal(), { sparsity: 0.5, confidence: undefined });
  assert.deepEqual(await goal("--config=run.json"), { sparsity: 0.8, confidence: undefined });
  assert.deepEqual(await goal("--config=run.json", "--confidence=.9"), {
    sparsity: undefined,
    confidence: 0.9,
  });
  assert.deepEqual(await goal("--config=other.json", "--sparsity=.9"), {
    sparsity: 0.9,
    confidence: undefined,
  });
});

Deno.test("resolvePruneConfig() reads and refuses what training is told on the command line", async () => {
  const resolve = (line: string) => resolvePruneConfig(parseFlags(line.split(" "), fields), memoryFiles({}));
  const config = await resolve(
    "--no-decay-bias --clip-norm 1 --schedule one-cycle --averaging ema --validation 500",
  );
  const { decayBias, clipNorm, schedule, averaging, validation } = config;
  assert.deepEqual([decayBias, clipNorm, schedule, averaging, validation], [
    false,
    1,
    "one-cycle",
    "ema",
    500,
  ]);
  await assert.rejects(resolve("--patience 3"), {
    name: "ConfigError",
    message: 'Cannot use "patience": 3 from the command line, expected 0 unless validation is above 0',
  });
});

Deno.test("resolvePruneConfig() refuses validation examples that nothing is chosen by", async () => {
  const files = memoryFiles({ "run.json": '{"epochs": 1, "validation": 50}' });
  const resolve = (line: string, resumed?: PruneConfig) =>
    resolvePruneConfig(parseFlags(line.split(" "), fields), files, { resumed });
  const wanted = "0 unless there is allowedDrop, posteriorTemperature auto, or more than one of epochs or";
  for (
    const idle of ["--epochs 1", "--model a.safetensors", "--epochs 1 --finetune-epochs 0 --stop-on loss"]
  ) {
    await assert.rejects(resolve(`--validation 500 ${idle}`), (error: Error) => {
      assert(error instanceof ConfigError && error.message.includes(wanted), error.message);
      return error.message.includes('"validation": 500 from the command line');
    });
  }
  await assert.rejects(resolve("--config run.json"), {
    message: /"validation": 50 from run.json and the command line/,
  });
  const read = [
    ...["", "--epochs 1 --finetune-epochs 2", "--epochs 1 --allowed-drop 0.01"],
    ...["--epochs 1 --posterior-temperature auto", "--model a.safetensors --epochs 2"],
  ];
  for (const more of read) await resolve(`--validation 500 ${more}`.trim());
  await resolve("--config run.json --epochs 2");
  // A run that was begun goes on.
  await resolve("--resume out", { ...await resolve("--validation 500"), epochs: 1 });
});

Deno.test("resolvePruneConfig() takes neither out nor force from a file, and says so", async () => {
  const keys = { epochs: 3, out: "victim", force: true }, heard: string[] = [];
  const files = memoryFiles({
    "keys.json": JSON.stringify(keys),
    "report.json": JSON.stringify({ version: 1, adapter: "x", config: keys }),
    "tame.json": JSON.stringify({ force: false }),
  });
  const resolve = async (line: string) => {
    const more = { hear: (text: string) => void heard.push(text) };
    const { epochs, out, force } = await resolvePruneConfig(parseFlags(line.split(" "), fields), files, more);
    return { epochs, out, force };
  };
  for (const name of ["keys.json", "report.json"]) {
    assert.deepEqual(await resolve(`--config ${name}`), { epochs: 3, out: undefined, force: false });
    assert.deepEqual(heard.splice(0), [`ignored in ${name}: out (victim) and force, which only flags set`]);
    const given = await resolve(`--config ${name} --out mine --force`);
    assert.deepEqual([given, heard], [{ epochs: 3, out: "mine", force: true }, []]);
  }
  assert.deepEqual([(await resolve("--config tame.json")).force, heard], [false, []]);
});

Deno.test("resolvePruneConfig() refuses --out and --force beside --resume", async () => {
  const resumed = parsePruneConfig({ epochs: 1, out: "a", force: true }, "a test");
  const resolve = (line: string) =>
    resolvePruneConfig(parseFlags(line.split(" "), fields), memoryFiles({}), { resumed });
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

Deno.test("resolvePruneConfig() takes a report, and readEarlierRun() what it says of the run beside", async () => {
  const { sparsity: _, ...config } = parsePruneConfig(
    { confidence: 0.9, epochs: 1, validation: 9 },
    "a test",
  );
  const cores = { "a product": "gemm/software/register_8x8, 1 split" };
  const files = memoryFiles({
    "report.json": JSON.stringify({ version: 1, adapter: "x", cores, config, accuracy: {} }),
    "older.json": JSON.stringify({ version: 1, adapter: "x", config: { epochs: 2 } }),
    "other.json": JSON.stringify({ version: 2, adapter: "x", config }),
    "run.json": "{}",
  });
  const parse = (line: string) => parseFlags(line.split(" "), fields);
  const resolved = await resolvePruneConfig(parse("--config report.json --out b"), files);
  // What a run was told once is not refused for what it does not read.
  assert.deepEqual(resolved, { ...config, out: "b" });
  const { sparsity, confidence } = await resolvePruneConfig(
    parse("--config report.json --sparsity .9"),
    files,
  );
  assert.deepEqual([sparsity, confidence], [0.9, undefined]);
  const earlier = async (line: string) => {
    const run = await readEarlierRun(parse(line), files);
    return run && [run.adapter, run.cores];
  };
  assert.deepEqual(await earlier("--config report.json"), ["x", cores]);
  assert.deepEqual(await earlier("--config older.json"), ["x", undefined]);
  assert.deepEqual([await earlier("--config run.json"), await earlier("--seed 1")], [undefined, undefined]);
  await assert.rejects(resolvePruneConfig(parse("--config other.json"), files), {
    name: "FormatError",
    message:
      /Cannot read report "other.json": version: .*, expected a report as prune, compare or sensitivity writes it/,
  });
});

Deno.test("resolvePruneConfig() names the source of what it refuses", async () => {
  const files = memoryFiles({ "bad.json": "{", "unknown.json": '{"epoch": 1}', "list.json": "[]" });
  const refuse = (argv: readonly string[], kind: new (...args: never[]) => Error, ...texts: string[]) =>
    assert.rejects(resolvePruneConfig(parseFlags(argv, fields), files), (error) => {
      assert(error instanceof kind, String(error));
      for (const text of texts) assert(error.message.includes(text), error.message);
      return true;
    });
  await refuse(["--config", "bad.json"], FormatError, "bad.json", "expected JSON");
  await refuse(["--config", "absent.json"], FileError, "absent.json");
  await refuse(["--config", "unknown.json"], ConfigError, '"epoch"', "unknown.json", '"epochs"');
  await refuse(["--config", "list.json"], ConfigError, "[] from list.json", "an object");
  await refuse(["--sparsity", "1.5"], ConfigError, '"sparsity": 1.5 from the command line', "[0, 1)");
});

Deno.test("formatHelp() names every flag with its default, in lines of at most 100 characters", () => {
  const help = formatHelp("./winnow prune [FLAGS]", "Prunes.", fields);
  for (const { flag, kind, default: preset } of fields) {
    assert(help.includes(kind === "boolean" && preset === true ? `--no-${flag}` : `--${flag}`), flag);
  }
  assert.match(
    help,
    /--learning-rate NUMBER +Step size that the schedule starts from or rises to. Default 0.02.\n/,
  );
  assert(help.split("\n").every((line) => line.length <= 100));
  // Groups are headings, in the order of the configuration; what has no group comes last.
  const headings = [...help.matchAll(/^(\S.*):$/gm)].map(([, heading]) => heading);
  assert.deepEqual(headings, [
    "Data and model",
    "Training",
    "Regularisation",
    "Schedule and averaging",
    "Early stopping",
    "Pruning goal",
    "Pruning",
    "Fine-tuning",
    "Distillation",
    "Pruned model",
    "Output and device",
    "Other",
  ]);
  assert.match(formatHelp("x", "Does.", runFields), /\nFlags:\n {2}--config/);
});
