/** Tests of what comparisons are told by flags, files and reports. */
import { assertEquals, assertRejects } from "@std/assert";
import { listField, listText, resolveComparison, sharedFields } from "../../src/cli/comparison_flags.ts";
import { configFlag, parseFlags } from "../../src/cli/flags.ts";
import { ConfigError } from "../../src/errors.ts";
import { memoryFiles } from "../helpers/memory_files.ts";

const shared = sharedFields(["seed"], { finetuneEpochs: 0 });
const sparsities = listField("sparsities", "0.5,0.8", "Fractions.");
const config = { epochs: 2, batch: 8, seed: 4, sparsity: .7, rounds: 2, out: "elsewhere", finetuneEpochs: 1 };
const cells = [.3, .9, .3].map((sparsity) => ({ sparsity, variant: "magnitude", accuracy: .5 }));
const files = memoryFiles({
  "compare.json": JSON.stringify({ version: 1, adapter: "x", cores: { a: "b" }, config, cells }),
  "old.json": JSON.stringify({
    ...{ version: 1, adapter: "x", config: { ...config, out: undefined, replace: true, posterior: "layer" } },
    cells: [{ variant: "magnitude/reselect" }, { variant: "obd/replace/T=2" }],
  }),
  "report.json": JSON.stringify({ version: 1, adapter: "x", config }),
  "keys.json": JSON.stringify({ batch: 8, out: "here" }),
  "rounds.json": JSON.stringify({ batch: 8, rounds: 2 }),
});
const parse = (line: string) =>
  parseFlags(line.split(" ").filter((word) => word !== ""), [sparsities, configFlag, ...shared]);
const heard: string[] = [];
const told = (line: string) => resolveComparison(parse(line), shared, files, (text) => void heard.push(text));

Deno.test("resolveComparison() takes a report's keys but its folder, and flags before them", async () => {
  const plain = await told("");
  assertEquals([plain.earlier, plain.config.out, plain.config.finetuneEpochs], [undefined, undefined, 0]);
  const { config: resolved, earlier } = await told("--config compare.json --batch 4");
  const { epochs, batch, seed, sparsity, rounds, out, finetuneEpochs } = resolved;
  assertEquals([epochs, batch, out, finetuneEpochs], [2, 4, undefined, 1]);
  // What a comparison has not is as it is without a report.
  assertEquals(
    [seed, sparsity, rounds],
    [plain.config.seed, plain.config.sparsity, plain.config.rounds],
  );
  assertEquals(heard, ["ignored in compare.json: out (elsewhere), which only flags set"]);
  assertEquals([earlier?.adapter, earlier?.cores], ["x", { a: "b" }]);
  assertEquals((await told("--config report.json")).earlier?.cores, undefined);
});

Deno.test("resolveComparison() takes a file's keys, and refuses those that a comparison has not", async () => {
  const { config: { batch, out }, earlier } = await told("--config keys.json");
  assertEquals([batch, out, earlier], [8, undefined, undefined]);
  assertEquals((await told("--config keys.json --out there")).config.out, "there");
  await assertRejects(
    () => told("--config rounds.json"),
    ConfigError,
    'Cannot use "rounds": a key that this command has not, in rounds.json, expected keys that --help lists',
  );
});

Deno.test("listText() is what was given, what a report's cells have, or the default", async () => {
  const text = async (line: string) => listText(sparsities, parse(line), (await told(line)).earlier);
  assertEquals(await text("--config compare.json --sparsities 0.1"), "0.1");
  assertEquals(await text("--config compare.json"), "0.3,0.9");
  assertEquals(await text("--config report.json"), "0.5,0.8");
  assertEquals(await text(""), "0.5,0.8");
});

Deno.test("resolveComparison() and listText() take reports of before refits had one name", async () => {
  const { config: { refit, selection }, earlier } = await told("--config old.json");
  assertEquals([refit, selection], [true, "obs"]);
  const variants = listField("variants", "magnitude", "Variants.");
  assertEquals(listText(variants, parse("--config old.json"), earlier), "magnitude/obs,obd/refit/T=2");
});
