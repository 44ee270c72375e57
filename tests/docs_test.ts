/**
 * The documentation holds what it says: examples are checked and run, commands are parsed by the commands' own parsers,
 * files in JSON are read by what reads them, and measured figures stand behind the command that made them.
 */
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import deno from "../deno.json" with { type: "json" };
import { checkBenchNames } from "../bench/benches.ts";
import { figures } from "../bench/figures.ts";
import { readVariant } from "../src/runs/compare_variants.ts";
import * as bench from "../src/cli/bench.ts";
import * as compare from "../src/cli/compare.ts";
import * as convert from "../src/cli/convert.ts";
import * as data from "../src/cli/data.ts";
import * as report from "../src/cli/report.ts";
import * as evaluate from "../src/cli/evaluate.ts";
import { type FlagField, type ParsedFlags, parseFlags } from "../src/cli/flags.ts";
import * as model from "../src/cli/model.ts";
import * as predict from "../src/cli/predict.ts";
import * as prune from "../src/cli/prune.ts";
import * as sensitivity from "../src/cli/sensitivity.ts";
import * as test from "../src/cli/test.ts";
import * as verify from "../src/cli/verify.ts";
import { parseRunConfig } from "../src/config/config.ts";
import { parseShardIndex } from "../src/data/shards.ts";
import { parseGraph } from "../src/model/graph.ts";
import { openRandomStream } from "../src/random.ts";
import { refitDefaults } from "../src/prune/refit/settings.ts";
import {
  type CodeBlock,
  codeBlocks,
  docstringBlocks,
  inlineCode,
  proseOf,
  readPages,
  readSources,
  shellCommands,
} from "./helpers/documents.ts";
import { memoryFiles } from "./helpers/memory_files.ts";
import { tinyDataset, tinyDatasetFiles } from "./helpers/tiny_dataset.ts";

const root = new URL("..", import.meta.url), config = new URL("deno.json", root).pathname;
const pages = readPages(), sources = readSources();

/** Kinds of blocks that nothing can run, and why. */
const kept: Readonly<Record<string, string>> = {
  "text output": "what a command printed, which takes minutes; the command stands above it",
  "text formula": "mathematics",
  "text diagram": "the order of folders, which tests/architecture_test.ts holds",
};

/** A command of `deno task` and `./winnow`: its flags, and what else it checks before it opens a device. */
interface Command {
  readonly fields: readonly FlagField[];
  readonly positionals?: boolean;
  readonly check?: (flags: ParsedFlags) => unknown;
}

/** Commands are parsed only: what they name need not be there. */
const files = memoryFiles();

const commands: Readonly<Record<string, Command>> = {
  prune: { fields: prune.fields, check: (flags) => prune.readRun(flags, files) },
  compare: {
    fields: compare.fields,
    check: async (flags) => {
      const { config, variants } = await compare.readComparison(flags, files);
      for (const name of variants) readVariant(name, config);
    },
  },
  sensitivity: { fields: sensitivity.fields, check: (flags) => sensitivity.readScan(flags, files) },
  convert: { fields: convert.fields, positionals: true },
  data: { fields: data.fields, positionals: true },
  report: { fields: report.fields, positionals: true },
  evaluate: { fields: evaluate.fields },
  predict: { fields: predict.fields },
  model: { fields: model.fields, positionals: true },
  verify: { fields: verify.fields, positionals: true },
  bench: {
    fields: bench.fields,
    positionals: true,
    check: ({ positionals }) => checkBenchNames(positionals),
  },
  test: { fields: test.fields, positionals: true },
};

/** Words with examples in the place of names such as `EPOCHS`, where a flag wants a number. */
function fillIn(words: readonly string[], fields: readonly FlagField[]): readonly string[] {
  const examples: Readonly<Record<string, string>> = { integer: "1", number: "0.5" };
  return words.map((word, i) => {
    if (!/^([A-Z]+|[a-z])$/.test(word)) return word;
    const kind = fields.find(({ flag, kind }) => `--${flag}` === words[i - 1] && kind !== "part")?.kind ?? "";
    return examples[kind] ?? word;
  });
}

/** Runs a command's parser on words, and what else it checks. */
async function parseCommand(name: string, words: readonly string[]): Promise<void> {
  const command = commands[name], isTask = Object.hasOwn(deno.tasks, name);
  assert(command || isTask && words.length === 0, `deno.json has no task "${name}"`);
  if (!command) return;
  const { fields, positionals = false, check } = command;
  await check?.(parseFlags(fillIn(words, fields), fields, { positionals }));
}

/** Checks what a bench script of refits takes: settings of a refit, and its own. */
function checkRefitOptions(script: string, options: Record<string, unknown>): void {
  const text = Deno.readTextFileSync(new URL(script, root));
  for (const key of Object.keys(options)) {
    assert(Object.hasOwn(refitDefaults, key) || text.includes(`readonly ${key}?:`), `no option "${key}"`);
  }
}

/** What bench scripts take as their last argument, in JSON. */
const optionsOf: Readonly<Record<string, (options: Record<string, unknown>) => void>> = {
  "bench/curves.ts": (options) => void parseRunConfig(options, "a page"),
  "bench/loop_paths.ts": (options) => {
    const text = Deno.readTextFileSync(new URL("bench/loop_paths.ts", root));
    for (const key of Object.keys(options)) assert(text.includes(`readonly ${key}?:`), `no option "${key}"`);
  },
  "bench/one_shot_refit.ts": (options) => checkRefitOptions("bench/one_shot_refit.ts", options),
  "bench/refit_steps.ts": (options) => checkRefitOptions("bench/refit_steps.ts", options),
};

/** Checks a command of any kind. */
async function checkCommand([program, ...words]: readonly string[]): Promise<void> {
  if (program === "./winnow") return await parseCommand(words[0]!, words.slice(1));
  assertEquals(program, "deno", "only ./winnow and deno are known");
  if (words[0] === "task") return await parseCommand(words[1]!, words.slice(2));
  assertEquals(words[0], "run");
  const at = words.findIndex((word, i) => i > 0 && !word.startsWith("-")), script = words[at]!;
  // The README's example, which is run below. PATH is winnow's folder there.
  assert(script === "example.ts" || Deno.statSync(new URL(script.replace(/^PATH\//, ""), root)).isFile);
  for (const word of words.slice(at + 1).filter((word) => word.startsWith("{"))) {
    const check = optionsOf[script];
    assert(check, `it is not known what options ${script} takes`);
    check(JSON.parse(word));
  }
}

/** Runs a check of every piece of the documentation, and says where one fails. */
async function checkEach<T extends { readonly at: string }>(
  all: readonly T[],
  check: (piece: T) => unknown,
): Promise<void> {
  const failures: string[] = [];
  for (const piece of all) {
    try {
      await check(piece);
    } catch (error) {
      failures.push(`${piece.at}: ${(error as Error).message}`);
    }
  }
  assertEquals(failures, []);
}

const blocks = pages.flatMap(codeBlocks);
const ofKind = (kind: string): readonly CodeBlock[] => blocks.filter((block) => block.kind === kind);

Deno.test("every block of code is of a kind that is checked, or has a reason", async () => {
  const checked = ["ts", "sh", "json"];
  await checkEach(blocks, ({ kind }) => assert(checked.includes(kind) || Object.hasOwn(kept, kind), kind));
  await checkEach(sources.flatMap(docstringBlocks), ({ kind }) => assertEquals(kind, "ts"));
  for (const kind of [...checked, ...Object.keys(kept)]) {
    assert(ofKind(kind).length > 0, `no ${kind} is left`);
  }
});

/** What the examples' numbers are for the tests, by the option: few images, once. */
const sizes: Readonly<Record<string, number>> = { calibration: 20, epochs: 1 };

/** Records of CIFAR-10, a class after the other, with random pixels. */
function noiseRecords(count: number, name: string): Uint8Array {
  const stream = openRandomStream(1, name);
  return Uint8Array.from(
    { length: count * 3073 },
    (_, i) => i % 3073 === 0 ? i / 3073 % 10 : stream.nextUint32() & 255,
  );
}

Deno.test("examples in TypeScript are right by their types and run, on a tiny data set", async () => {
  const examples = [...ofKind("ts"), ...sources.flatMap(docstringBlocks)];
  assert(examples.length > 8 && examples.some(({ at }) => at.startsWith("README.md")));
  const folder = await Deno.makeTempDir();
  const run = async (args: readonly string[]) => {
    const options = { args: [...args], cwd: folder, env: { NO_COLOR: "1", XDG_RUNTIME_DIR: folder } };
    const { success, stdout, stderr } = await new Deno.Command("deno", options).output();
    const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert(success, `${out}${error}`);
    return out!;
  };
  try {
    await Deno.mkdir(`${folder}/data`);
    for (const [name, bytes] of Object.entries(tinyDatasetFiles(tinyDataset()))) {
      await Deno.writeFile(`${folder}/data/${name}`, bytes);
    }
    await Deno.mkdir(`${folder}/data/cifar-10-batches-bin`);
    for (const [name, count] of [["data_batch_1", 52], ["test_batch", 8]] as const) {
      await Deno.writeFile(`${folder}/data/cifar-10-batches-bin/${name}.bin`, noiseRecords(count, name));
    }
    const paths = examples.map((_, i) => `${folder}/example${i}.ts`);
    for (const [i, { at, code }] of examples.entries()) {
      const [path] = at.split(":"), base = new URL(path!, root);
      const absolute = code.replaceAll(/from "(\.[^"]+)"/g, (_, to) => `from "${new URL(to, base).href}"`);
      // Of a line such as `stagesTo(0.8); // [0.5, 0.7, 0.8]` the comment is what comes out.
      const told = absolute.replaceAll(
        /^(?!const |import )(.+); \/\/ (.+)$/gm,
        (line, made, wanted) => isValue(wanted) ? `assert.deepEqual(${made}, ${wanted});` : line,
      );
      const short = told.replaceAll(/\b(calibration|epochs): \d+/g, (_, key) => `${key}: ${sizes[key]}`);
      await Deno.writeTextFile(paths[i]!, `import assert from "node:assert/strict";\nvoid assert;\n${short}`);
    }
    const main = examples.map(({ at }, i) => `console.log("== ${at}");\nawait import("./example${i}.ts");`);
    await Deno.writeTextFile(`${folder}/main.ts`, main.join("\n"));
    const permissions = ["--no-prompt", "--allow-read", `--allow-write=${folder}`];
    const out = await run([
      "run",
      "--check",
      "--quiet",
      ...permissions,
      `--config=${config}`,
      `${folder}/main.ts`,
      `${folder}/data`,
    ]);
    for (const { at } of examples) assert(out.includes(`== ${at}\n`), at);
    assertMatch(out, /== README[\s\S]*[\d.]+ -> [\d.]+ at 0\.79999/);
    assert(Deno.statSync(`${folder}/resnet20-80.safetensors`).isFile);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Whether a comment is a value of TypeScript. */
function isValue(text: string): boolean {
  try {
    JSON.parse(text.replaceAll(/([{,] *)(\w+):/g, '$1"$2":'));
    return true;
  } catch {
    return false;
  }
}

Deno.test("commands in blocks are parsed by the commands themselves", async () => {
  const all = ofKind("sh").flatMap(({ at, code }) => shellCommands(code).map((words) => ({ at, words })));
  assert(all.length > 10);
  await checkEach(all, ({ words }) => checkCommand(words));
  const wrong = [["./winnow", "prune", "--sparsty", "1"], ["deno", "task", "nothing"], ["npm", "test"]];
  for (const words of wrong) await assertRejects(() => checkCommand(words));
});

Deno.test("files in JSON are read by what reads them", async () => {
  await checkEach(ofKind("json"), ({ code, at }) => {
    if (code.includes('"format": "winnow-shards"')) parseShardIndex(new TextEncoder().encode(code), at);
    else if (code.includes('"prune"')) parseRunConfig(JSON.parse(code), at);
    else parseGraph(JSON.parse(code), at);
  });
});

/** Spans of code in prose that start with a flag, or a command, or a command of `deno task` without those words. */
const spans = pages.flatMap(inlineCode).filter(({ code }) =>
  /^(--|\.\/winnow |deno (task|run) )/.test(code) ||
  code.includes(" --") && Object.hasOwn(commands, code.split(" ")[0]!)
);

/** Every form of words such as `--tune off|quick|full`, one for each of the values between the lines. */
function formsOf(words: readonly string[]): readonly (readonly string[])[] {
  return words.reduce<string[][]>(
    (forms, word) => forms.flatMap((form) => word.split("|").map((choice) => [...form, choice])),
    [[]],
  );
}

/** True where a flag without a value is one that a command or Deno knows; its permissions are those of tasks. */
function isKnownFlag(word: string): boolean {
  const name = word.slice("--".length);
  const tasks = Object.values(deno.tasks).map(({ command }) => command).join(" ");
  if (name.startsWith("allow-")) {
    const given = eachPermission(tasks, [""]);
    return eachPermission(word, [""]).every((one) => given.includes(one));
  }
  const isOf = ({ flag, key, kind }: FlagField) =>
    flag === name || key === name || (kind === "boolean" || kind === "part") && `no-${flag}` === name;
  return tasks.split(" ").includes(word) || name === "help" ||
    Object.values(commands).some(({ fields }) => fields.some(isOf));
}

/** Checks flags without their command: one of the commands must take them; a flag alone needs no value. */
function checkFlags(words: readonly string[]): void {
  if (words.length === 1 && isKnownFlag(words[0]!)) return;
  const refusals = Object.values(commands).map(({ fields }) => {
    try {
      parseFlags(fillIn(words, fields), fields);
    } catch (error) {
      return (error as Error).message;
    }
  });
  assert(refusals.includes(undefined), refusals.join("\n"));
}

Deno.test("flags and commands in prose exist, and take the values that are shown", async () => {
  assert(spans.length > 50);
  await checkEach(spans, async ({ code }) => {
    const [words] = shellCommands(code);
    for (const form of formsOf(words!)) {
      if (code.startsWith("--")) checkFlags(form);
      else if (form[0] === "deno" || form[0] === "./winnow") await checkCommand(form);
      else await parseCommand(form[0]!, form.slice(1));
    }
  });
  for (const words of [["--sparsty"], ["--tune", "slow"], ["--no-config"], ["--allow-all"]]) {
    assertThrows(() => checkFlags(words));
  }
});

Deno.test("every figure shows its data: drawn again it is the same", async () => {
  const shown = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map(([, to]) => ({
      at: new URL(to!, new URL(path, root)).pathname,
    }))
  ).map(({ at }) => ({ at: at.slice(root.pathname.length) }));
  const pictures = [...Deno.readDirSync(new URL("docs/", root))].map(({ name }) => `docs/${name}`)
    .filter((path) => /\.(svg|png|jpe?g|gif|webp)$/.test(path));
  assertEquals(new Set(shown.map(({ at }) => at)), new Set(Object.keys(figures)));
  assertEquals(pictures.sort(), Object.keys(figures).sort());
  const read = (path: string) => Deno.readTextFileSync(new URL(path, root));
  await checkEach(shown, ({ at }) => {
    assert(figures[at]!(read) === read(at), "it is not what bench/figures.ts draws");
  });
});

/** The rows of the first table below a heading of docs/architecture.md. */
function tableBelow(heading: string): readonly (readonly string[])[] {
  const lines = pages.find(({ path }) => path === "docs/architecture.md")!.text.split("\n");
  const from = lines.findIndex((line, i) => i > lines.indexOf(`## ${heading}`) && line.startsWith("| --- "));
  const to = lines.findIndex((line, i) => i > from && !line.startsWith("|"));
  return lines.slice(from + 1, to).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

/** Permissions, one variable, host or program each, with what has them. */
function eachPermission(flags: string, tasks: readonly string[]): readonly string[] {
  return [...flags.matchAll(/--allow-(\w+)(?:='?([^'\s`]+))?/g)].flatMap(([, kind, values = ""]) =>
    values.split(",").flatMap((value) => tasks.map((task) => `${task}: ${kind} ${value}`))
  );
}

Deno.test("docs/architecture.md lists the permissions that tasks have, and the packages that there are", () => {
  const listed = tableBelow("Permissions").flatMap(([flags, tasks]) =>
    eachPermission(flags!, tasks!.split(", "))
  );
  const given = Object.entries(deno.tasks).flatMap(([task, { command }]) => eachPermission(command, [task]));
  assert(given.length > 20);
  assertEquals([...listed].sort(), [...given].sort());
  const named = tableBelow("Dependencies").flatMap(([names]) => names!.split(/, (?:as .*)?/)).filter(Boolean);
  const read = (path: string) => Deno.readTextFileSync(new URL(path, root));
  const peers = [...Deno.readDirSync(new URL("bench/peers/", root))].map(({ name }) =>
    read(`bench/peers/${name}`)
  );
  const taken = [read("deno.json"), ...sources.map(({ text }) => text), ...peers].flatMap((text) =>
    [...text.matchAll(/"npm:\/?((?:@[\w-]+\/)?[\w-]+)@(\d+\.\d+\.\d+(?:-\d+)?)["\/]/g)].map(([, name]) =>
      name!
    )
  );
  assertEquals([...new Set(taken)].sort(), [...named].sort());
});

Deno.test("files and folders that pages name are there", async () => {
  const named = pages.flatMap((page) =>
    [...proseOf(page).matchAll(/(?<![\w./-])(?:src|tests|docs|kernels|bench)\/[\w/.-]*\w/g)].map((
      [path],
    ) => ({
      at: page.path,
      path,
    }))
  );
  assert(named.length > 20);
  await checkEach(named, ({ path }) => void Deno.statSync(new URL(path, root)));
  const links = pages.flatMap((page) =>
    [...proseOf(page).matchAll(/\]\(([^)#]+)\)/g)].map(([, link]) => ({ at: page.path, link: link! }))
  ).filter(({ link }) => !link.startsWith("https:"));
  assert(links.length > 5);
  await checkEach(links, ({ at, link }) => void Deno.statSync(new URL(link, new URL(at, root))));
});

/** Where a page shows something measured: a table with a decimal number, what a command printed, a figure. */
function measuredLines(lines: readonly string[]): readonly number[] {
  return lines.flatMap((line, i) => {
    const isTable = /^\|.*\d\.\d/.test(line) && !/^\|.*\d\.\d/.test(lines[i - 1] ?? "");
    return isTable || line.startsWith("```text output") || line.startsWith("![") ? [i] : [];
  });
}

Deno.test("what was measured stands below the command that measured it, in the same section", async () => {
  const command = /^```sh|`(deno (task|run) |\.\/winnow |--)/;
  const measured = pages.filter(({ path }) => path !== "CHANGELOG.md").flatMap(({ path, text }) => {
    const lines = text.split("\n");
    return measuredLines(lines).map((line) => ({ at: `${path}:${line + 1}`, lines, line }));
  });
  assert(measured.length > 20);
  await checkEach(measured, ({ lines, line }) => {
    const above = lines.slice(0, line), heading = above.findLastIndex((other) => /^#+ /.test(other));
    assert(above.slice(heading).some((other) => command.test(other)), "no command stands above it");
  });
});
