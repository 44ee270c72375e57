/** Tests of what comparisons are told by flags, files and reports. */
import { z } from "zod";
import { assertEquals, assertRejects } from "@std/assert";
import {
  comparing,
  listsGiven,
  makeListSchema,
  makeSparsitySchema,
  sharedFields,
} from "../../src/cli/comparison_flags.ts";
import { resolveRun } from "../../src/cli/run_config.ts";
import { configFlag, ownFlags, parseFlags } from "../../src/cli/flags.ts";
import { ConfigError } from "../../src/errors.ts";
import { memoryFiles } from "../helpers/memory_files.ts";

const shared = comparing(["seed"], { prune: { finetune: { epochs: 0 } } });
const own = ownFlags({
  sparsities: makeSparsitySchema([0.5, 0.8], "Fractions."),
  variants: makeListSchema(z.string(), { preset: ["magnitude"], description: "Variants.", wanted: "names" }),
  ...configFlag,
});
const config = { epochs: 2, batch: 8, seed: 4, sparsity: .7, rounds: 2, out: "elsewhere", finetuneEpochs: 1 };
const cells = [.3, .9, .3].map((sparsity) => ({ sparsity, variant: "magnitude", accuracy: .5 }));
const files = memoryFiles({
  "compare.json": JSON.stringify({ version: 1, adapter: "x", cores: { a: "b" }, config, cells }),
  "old.json": JSON.stringify({
    ...{ version: 1, adapter: "x", config: { ...config, out: undefined, replace: true, posterior: "layer" } },
    cells: [{ variant: "magnitude/reselect" }, { variant: "obd/replace/T=2" }],
  }),
  "own.json": JSON.stringify({ version: 3, adapter: "x", config: {}, ownCriteria: { mine: "w * w" } }),
  "report.json": JSON.stringify({ version: 1, adapter: "x", config }),
  "keys.json": JSON.stringify({ batch: 8, out: "here" }),
  "pattern.json": JSON.stringify({ version: 1, adapter: "x", config: { granularity: "2:4" } }),
  "rounds.json": JSON.stringify({ batch: 8, rounds: 2 }),
});
const parse = (line: string) =>
  parseFlags(line.split(" ").filter((word) => word !== ""), [...own.fields, ...sharedFields(shared)]);
const heard: string[] = [];
const told = (line: string) =>
  resolveRun(parse(line), files, { ...shared, hear: (text) => void heard.push(text) });

Deno.test("resolveRun() takes a report's keys but its folder, and flags before them", async () => {
  const plain = await told("");
  assertEquals([plain.earlier, plain.config.output.folder, plain.config.prune.finetune.epochs], [
    undefined,
    undefined,
    0,
  ]);
  const { config: { seed, train, prune, output }, earlier } = await told("--config compare.json --batch 4");
  assertEquals([train.epochs, train.batch, output.folder, prune.finetune.epochs], [2, 4, undefined, 1]);
  // What a comparison has not is as it is without a report.
  assertEquals([seed, prune.goal], [0, { sparsity: 0.5, schedule: "gradual", rounds: 3 }]);
  assertEquals(heard, ["ignored in compare.json: output.folder (elsewhere), which only flags set"]);
  assertEquals([earlier?.adapter, earlier?.cores], ["x", { a: "b" }]);
  assertEquals((await told("--config report.json")).earlier?.cores, undefined);
});

Deno.test("resolveRun() refuses the report of a run that scored by a criterion of its own", async () => {
  const says = 'Cannot repeat "own.json": it scored by "mine", a criterion that a program defined';
  await assertRejects(() => told("--config own.json"), ConfigError, says);
});

Deno.test("resolveRun() keeps a pattern, which comparisons refuse by name", async () => {
  const { goal } = (await told("--config pattern.json")).config.prune;
  assertEquals(goal, { pattern: { keep: 2, of: 4 } });
});

Deno.test("resolveRun() takes a file's keys, and refuses those that a comparison has not", async () => {
  const { config: { train, output }, earlier } = await told("--config keys.json");
  assertEquals([train.batch, output.folder, earlier], [8, undefined, undefined]);
  assertEquals((await told("--config keys.json --out there")).config.output.folder, "there");
  const message = "a key that this command has not, in rounds.json, expected keys that --help all lists";
  await assertRejects(
    () => told("--config rounds.json"),
    ConfigError,
    `Cannot use "prune.goal.rounds": ${message}`,
  );
});

Deno.test("listsGiven() are what was given, what a report's cells have, or the default", async () => {
  const read = async (line: string) =>
    own.read(listsGiven(parse(line), (await told(line)).earlier)).sparsities;
  assertEquals(await read("--config compare.json --sparsities 0.1"), [0.1]);
  assertEquals(await read("--config compare.json"), [0.3, 0.9]);
  assertEquals(await read("--config report.json"), [0.5, 0.8]);
  assertEquals(await read(""), [0.5, 0.8]);
  for (const list of ["0.5,1", "0.5,0.5", "-1"]) {
    const message =
      `Cannot use "--sparsities": "${list}", expected fractions in [0, 1), joined by commas, none of them twice`;
    await assertRejects(() => read(`--sparsities=${list}`), ConfigError, message);
  }
});

Deno.test("resolveRun() and listsGiven() take reports of before refits had one name", async () => {
  const { config: { prune }, earlier } = await told("--config old.json");
  assertEquals(prune.after, { refit: { by: "layers", selectionSteps: 3 } });
  const { variants } = own.read(listsGiven(parse("--config old.json"), earlier));
  assertEquals(variants, ["magnitude/obs", "obd/refit/T=2"]);
});
