/** Tests of the command line's flags. */

import assert from "node:assert/strict";
import { fields as compareFields } from "../../src/cli/compare.ts";
import { fields as evaluateFields } from "../../src/cli/evaluate.ts";
import { type FlagField, parseFlags, runFlags } from "../../src/cli/flags.ts";
import { fields as predictFields } from "../../src/cli/predict.ts";
import { fields as sensitivityFields } from "../../src/cli/sensitivity.ts";
import { configFlags, keysOfFlags } from "../../src/config/words.ts";
import { ConfigError } from "../../src/errors.ts";

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

/** The part that `--no-NAME` takes away, where it has a key of that name. */
const takenBy = (name: string) => configFlags.find(({ flag, kind }) => kind === "part" && flag === name)?.key;

Deno.test("parseFlags() reads every key of the configuration by its short name and by its path", () => {
  assert(configFlags.length > 80);
  for (const field of configFlags) {
    const { key, kind, choices } = field;
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
      assert.deepEqual(parse(`--no-${name}`), { [takenBy(name) ?? key]: false });
      const lines = kind === "boolean" ? [`--${name}`] : [`--${name} ${text}`, `--${name}=${text}`];
      const given = kind === "boolean" ? true : value;
      for (const line of kind === "part" ? [] : lines) assert.deepEqual(parse(line), { [key]: given });
    }
  }
});

Deno.test("keysOfFlags() gives the keys that flags set, words before the keys that they stand for", () => {
  const keysOf = (line: string) => keysOfFlags(parse(line));
  const cases: readonly (readonly [string, unknown])[] = [
    ["--epochs 3 --seed 2", { seed: 2, train: { epochs: 3 } }],
    ["--momentum .5 --optimizer sgd", {
      train: { optimizer: { kind: "sgd", momentum: 0.5 } },
    }],
    ["--optimizer nesterov", { train: { optimizer: { kind: "nesterov" } } }],
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
    ["--no-validation", { validation: undefined }],
    ["--no-clip-norm --no-regrow", {
      train: { optimizer: { clip: { norm: undefined } } },
      prune: { goal: { regrow: undefined } },
    }],
    ["--no-granularity --no-compact", {
      prune: { select: { granularity: undefined } },
      output: { compact: false },
    }],
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
  assertRefused("--rat 3", "expected such as --", ", --", "; --help lists them");
  // A command whose help has two lengths names the longer.
  const message = /; --help all lists them$/;
  assert.throws(() => parseFlags(["--rat", "3"], fields, { common: ["seed"] }), { message });
  assertRefused("--no-config", '"--no-config"', "an unknown flag");
  assertRefused("--clip", '"--clip"', "an unknown flag, expected --clip-norm or --clip-value");
  assertRefused("--no-comparee", "an unknown flag");
  assertRefused("-x", '"-x"', "an unknown flag");
  assertRefused("--__proto__ 1", "an unknown flag");
});

Deno.test("parseFlags() refuses a flag of other commands with the name of the one that means the same", () => {
  const cases: readonly [readonly FlagField[], string, string][] = [
    [evaluateFields, "--test-limit", "--limit"],
    [evaluateFields, "--data.testLimit", "--limit"],
    [predictFields, "--test-limit", "--limit"],
    [predictFields, "--data", "--images"],
    [compareFields, "--criterion", "--variants"],
    [compareFields, "--sparsity", "--sparsities"],
    [compareFields, "--seed", "--seeds"],
    [sensitivityFields, "--sparsity", "--sparsities"],
  ];
  for (const [fields, flag, wanted] of cases) {
    const message = `Cannot use "${flag}": an unknown flag, expected "${wanted}", which means the same here`;
    assert.throws(() => parseFlags([flag, "5"], fields), { name: "ConfigError", message });
  }
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
