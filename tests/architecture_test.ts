/**
 * Tests that hold the house's lines: which way imports point, who may touch what, how long files are, and that
 * every kernel has a test. Each rule is a function from sources to complaints, and is tried on a breach too.
 */

import { layerSchemas } from "../src/model/layers/index.ts";
import assert from "node:assert/strict";
import { posix } from "node:path";

/** Text of every file by its path from the repository's folder. */
type Sources = ReadonlyMap<string, string>;

const rootUrl = new URL("..", import.meta.url);
const otherFolders = new Set([".git", "node_modules", "data", "out", "runs"]);
const textEndings = /(\.(tsx?|js|json|wgsl|md|lock|svg|html|yml|toml)|winnow|run|gate|LICENSE|\.gitignore)$/;

/** Reads all text files of the repository, except in folders that hold no sources. */
async function readSources(folder = ""): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for await (const entry of Deno.readDir(new URL(folder, rootUrl))) {
    const path = folder + entry.name;
    if (entry.isDirectory) {
      if (folder !== "" || !otherFolders.has(entry.name) && !entry.name.startsWith(".gpu")) {
        found.push(...await readSources(`${path}/`));
      }
    } else if (entry.isFile && textEndings.test(path)) {
      found.push([path, await Deno.readTextFile(new URL(path, rootUrl))]);
    }
  }
  return found;
}

const sources: Sources = new Map(await readSources());

/** The sources whose paths match. */
function select(from: Sources, pattern: RegExp): [string, string][] {
  return [...from].filter(([path]) => pattern.test(path)).sort();
}

/** Code without its comments. Two slashes after a colon are an address in a string. */
function stripComments(code: string): string {
  return code.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|[^:])\/\/.*$/gm, "$1");
}

const levels: readonly (readonly string[])[] = [
  ["first"],
  ["config"],
  ["kernels", "data"],
  ["model"],
  ["plan"],
  ["io"],
  ["gpu"],
  ["train"],
  ["prune"],
  ["report"],
  ["verify", "text"],
  ["page"],
  ["api"],
  ["runs"],
  ["deno"],
  ["mod"],
  ["bench"],
  ["cli"],
  ["tests"],
];

/** What users import: the entries of deno.json's exports. */
const entries = /^(mod|data|run|deno)\.ts$/;

/** The module that a file belongs to: its folder in src/, or `first`, `mod`, `bench` or `tests`. */
function moduleOf(path: string): string {
  if (entries.test(path)) return "mod";
  return /^(?:src\/(\w+)|(bench)|(tests))\//.exec(path)?.slice(1).find((name) => name) ?? "first";
}

/** The files that a file imports, by their paths, types included. */
function importsOf(
  path: string,
  code: string,
): readonly { readonly specifier: string; readonly to: string }[] {
  const imports = stripComments(code).matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+\.tsx?)"/g);
  return [...imports].map(([, specifier]) => ({
    specifier: specifier!,
    to: posix.normalize(posix.join(posix.dirname(path), specifier!)),
  }));
}

/** Where a module stands in the order, or -1. */
function levelOf(module: string): number {
  return levels.findIndex((level) => level.includes(module));
}

/** Imports must point to the same module or one that stands before it. */
function findImportBreaches(from: Sources): string[] {
  return select(from, /^((src|bench|tests)\/.*|mod|data|run|deno)\.tsx?$/).flatMap(([path, code]) => {
    const importer = moduleOf(path);
    if (levelOf(importer) < 0) return [`${path}: its folder stands nowhere in the order`];
    return importsOf(path, code).flatMap(({ specifier, to }) => {
      const imported = moduleOf(to);
      const allowed = imported === importer || levelOf(imported) < levelOf(importer);
      return allowed ? [] : [`${path}: imports ${specifier}`];
    });
  });
}

/**
 * Groups of files of which each imports each other, over other files or not, types included; an import of what is
 * given as an exception counts as none.
 */
function findCycles(from: Sources, exceptions: readonly string[] = []): string[] {
  const files = new Map(
    select(from, /^((src|bench|tests)\/.*|mod|data|run|deno)\.tsx?$/).map(([path, code]) => [
      path,
      importsOf(path, code).map(({ to }) => to).filter((to) => !exceptions.includes(`${path} -> ${to}`)),
    ]),
  );
  // Tarjan 1972: a group is closed when the search leaves the first of its files.
  const order = new Map<string, number>(), open: string[] = [], cycles: string[] = [];
  const visit = (path: string): number => {
    let reached = order.size;
    const own = reached;
    order.set(path, own);
    open.push(path);
    for (const to of files.get(path)!) {
      if (!files.has(to)) continue;
      if (!order.has(to)) reached = Math.min(reached, visit(to));
      else if (open.includes(to)) reached = Math.min(reached, order.get(to)!);
    }
    if (reached === own) {
      const group = open.splice(open.indexOf(path));
      if (group.length > 1 || files.get(path)!.includes(path)) cycles.push(group.sort().join(", "));
    }
    return reached;
  };
  for (const path of files.keys()) if (!order.has(path)) visit(path);
  return cycles.sort();
}

/** Imports against the grain, each with its reason. */
const cycleExceptions = [
  // A device keeps its buffers, to free them with itself, and a buffer knows its device.
  "src/gpu/buffer.ts -> src/gpu/device.ts",
];

/** The diagrams of docs/architecture.md, as lines: first the folders from the top down, then the walks of a run. */
function diagramsOf(from: Sources): readonly (readonly string[])[] {
  const blocks = from.get("docs/architecture.md")!.matchAll(/^```text diagram\n([\s\S]*?)^```$/gm);
  return [...blocks].map(([, lines]) => lines!.trimEnd().split("\n"));
}

/** The modules of each line of the picture of folders, from the bottom up, as `levels` has them. */
function pictureLevels(lines: readonly string[]): readonly (readonly string[])[] {
  const named = /src\/(\w+)\/|^(tests|bench)\/|^(mod)\.ts|^src\/errors\.ts/g;
  return lines.toReversed().map((line) =>
    [...line.matchAll(named)].map(([, ...names]) => names.find((name) => name) ?? "first")
  );
}

/** Lines of a walk whose file is not there, was entered before, or is not imported by the file that they are indented under. */
function findWalkBreaches(from: Sources, lines: readonly string[]): readonly string[] {
  const above: string[] = [], entered = new Set<string>();
  return lines.flatMap((line) => {
    const [, indent, path] = /^( *)(\S+)/.exec(line)!, depth = indent!.length / 2;
    above[depth] = path!;
    if (!from.has(path!)) return [`${path}: no such file`];
    if (entered.size === entered.add(path!).size) return [`${path}: entered twice`];
    if (depth === 0) return [];
    const caller = above[depth - 1]!;
    const importedBy = (file: string): readonly string[] =>
      importsOf(file, from.get(file) ?? "").flatMap(({ to }) => entries.test(to) ? importedBy(to) : to);
    return importedBy(caller).includes(path!) ? [] : [`${path}: ${caller} does not import it`];
  });
}

/** Only src/gpu/ touches live WebGPU objects. */
function findGpuBreaches(from: Sources): string[] {
  const live =
    /navigator\.gpu|\bGPU(Device|Buffer|Adapter|Queue|CommandEncoder|ComputePipeline|Texture|BindGroup)\b/;
  return select(from, /^(src\/.*|mod|data|run|deno)\.tsx?$/)
    .filter(([path]) => !path.startsWith("src/gpu/"))
    .flatMap(([path, code]) => {
      const found = live.exec(stripComments(code));
      return found === null ? [] : [`${path}: ${found[0]}`];
    });
}

/** Only src/deno/, the search for an adapter and the commands use Deno: browsers load the rest. */
function findDenoBreaches(from: Sources): string[] {
  return select(from, /^(src\/.*|mod|data|run|deno)\.tsx?$/)
    .filter(([path]) => !/^src\/(gpu\/backend|deno\/\w+|cli\/\w+)\.ts$/.test(path))
    .flatMap(([path, code]) => /\bDeno\./.test(stripComments(code)) ? [`${path}: uses Deno`] : []);
}

/** What a browser loads holds resources by `Owner`: `DisposableStack` is not in every browser. */
function findStacks(from: Sources): string[] {
  return select(from, /^(src\/.*|mod|data|run|deno)\.tsx?$/)
    .filter(([path]) => !/^src\/(deno|cli)\//.test(path))
    .flatMap(([path, code]) =>
      /\bDisposableStack\b/.test(stripComments(code)) ? [`${path}: DisposableStack`] : []
    );
}

/** Commands print through src/cli/print.ts alone, which escapes what files say. */
function findPrintBreaches(from: Sources): string[] {
  return select(from, /^src\/cli\/.*\.ts$/)
    .filter(([path]) => path !== "src/cli/print.ts")
    .flatMap(([path, code]) => /\bconsole\.\w+\(/.test(stripComments(code)) ? [`${path}: uses console`] : []);
}

/** Only src/kernels/ imports WGSL. */
function findWgslImports(from: Sources): string[] {
  return select(from, /^(src\/.*|mod|data|run|deno)\.tsx?$/)
    .filter(([path]) => !path.startsWith("src/kernels/"))
    .flatMap(([path, code]) => /(from|import)\s*\(?\s*"[^"]+\.wgsl"/.test(code) ? [`${path}: WGSL`] : []);
}

/** Files that are longer than a number of lines. */
function findLongFiles(from: Sources, lines: number): string[] {
  return select(from, /^(src|kernels)\/|^mod\.ts$/)
    .map(([path, code]): [string, number] => [path, code.trimEnd().split("\n").length])
    .filter(([, count]) => count > lines).map(([path, count]) => `${path}: ${count} lines`);
}

/** Absolute paths that exist on one machine only. */
function findMachinePaths(from: Sources): string[] {
  const folders = ["work", "root", "Users"].map((name) => `/${name}/`);
  return [...from].flatMap(([path, text]) =>
    folders.filter((folder) => new RegExp(String.raw`(^|[\s"'\`(=:])${folder}`, "m").test(text))
      .map((folder) => `${path}: ${folder}`)
  );
}

Deno.test("findImportBreaches() finds imports against the order, and none in the sources", () => {
  const breach = new Map([
    ["src/model/a.ts", 'import { b } from "../gpu/b.ts";\nimport type { c } from "../shape.ts";'],
    ["src/data/a.ts", 'export * from "../kernels/b.ts";'],
    ["src/shape.ts", 'const late = await import("./config/config.ts");\n// import "./cli/a.ts";'],
    ["src/nowhere/a.ts", ""],
    ["src/cli/a.ts", 'import { prune } from "../../mod.ts";\nimport "./b.ts";\nimport "../../bench/a.ts";'],
    ["src/api/a.ts", 'import "../../bench/a.ts";\nimport "../../tests/a.ts";\nimport "../deno/a.ts";'],
    ["bench/a.ts", 'import "../src/cli/table.ts";\nimport "../src/text/table.ts";'],
    ["tests/a.ts", 'import "../bench/a.ts";\nimport "../src/cli/a.ts";'],
  ]);
  assert.deepEqual(findImportBreaches(breach), [
    "bench/a.ts: imports ../src/cli/table.ts",
    "src/api/a.ts: imports ../../bench/a.ts",
    "src/api/a.ts: imports ../../tests/a.ts",
    "src/api/a.ts: imports ../deno/a.ts",
    "src/data/a.ts: imports ../kernels/b.ts",
    "src/model/a.ts: imports ../gpu/b.ts",
    "src/nowhere/a.ts: its folder stands nowhere in the order",
    "src/shape.ts: imports ./config/config.ts",
  ]);
  assert.deepEqual(findImportBreaches(sources), []);
});

Deno.test("docs/architecture.md shows the folders in their order", () => {
  const [folders] = diagramsOf(sources);
  const sorted = (all: readonly (readonly string[])[]) => all.map((level) => [...level].sort());
  assert.deepEqual(sorted(pictureLevels(folders!)), sorted(levels));
  assert.deepEqual(
    pictureLevels(["tests/  all of src/", "mod.ts  for users", "src/api/  src/b/  x", "src/errors.ts"]),
    [
      ["first"],
      ["api", "b"],
      ["mod"],
      ["tests"],
    ],
  );
});

Deno.test("findWalkBreaches() finds calls that no import allows, and none in docs/architecture.md", () => {
  const breach = new Map([
    ["src/cli/a.ts", 'import { run } from "../../mod.ts";'],
    ["mod.ts", 'export * from "./run.ts";'],
    ["run.ts", 'export { run } from "./src/api/b.ts";'],
    ["src/api/b.ts", ""],
    ["src/gpu/c.ts", ""],
  ]);
  const lines = ["src/cli/a.ts  main", "  src/api/b.ts", "    src/gpu/c.ts", "  src/d.ts", "  src/api/b.ts"];
  assert.deepEqual(findWalkBreaches(breach, lines), [
    "src/gpu/c.ts: src/api/b.ts does not import it",
    "src/d.ts: no such file",
    "src/api/b.ts: entered twice",
  ]);
  const [, ...walks] = diagramsOf(sources);
  assert.ok(walks.length > 2);
  assert.deepEqual(walks.flatMap((walk) => findWalkBreaches(sources, walk)), []);
});

Deno.test("entries are those of deno.json's exports, each linted by deno task ok and the gate", () => {
  const { exports, tasks } = JSON.parse(sources.get("deno.json")!);
  const paths = Object.values<string>(exports).map((path) => path.slice("./".length));
  for (const path of paths) assert(sources.has(path) && entries.test(path), path);
  assert.equal(paths.length, [...sources.keys()].filter((path) => entries.test(path)).length);
  for (const text of [tasks.ok.command, sources.get(".ci/gate")!]) {
    const linted = /deno doc --lint ((?:\w+\.ts ?)+)/.exec(text)![1]!.trim().split(" ");
    assert.deepEqual(linted.sort(), paths.sort());
  }
});

Deno.test("findCycles() finds files that import each other, by types too, and none in the sources", () => {
  const breach = new Map([
    ["src/a/one.ts", 'import { two } from "./two.ts";'],
    ["src/a/two.ts", 'import type { three } from "../b/three.ts";\nexport * from "./leaf.ts";'],
    ["src/b/three.ts", 'const one = await import("../a/one.ts");'],
    ["src/a/leaf.ts", '// import "./one.ts";'],
    ["src/a/self.ts", 'import "./self.ts";'],
    ["mod.ts", 'export * from "./src/a/one.ts";'],
  ]);
  const cycle = "src/a/one.ts, src/a/two.ts, src/b/three.ts";
  assert.deepEqual(findCycles(breach), [cycle, "src/a/self.ts"]);
  assert.deepEqual(findCycles(breach, ["src/b/three.ts -> src/a/one.ts"]), ["src/a/self.ts"]);
  assert.deepEqual(findCycles(sources, cycleExceptions), []);
  for (const exception of cycleExceptions) {
    const others = cycleExceptions.filter((other) => other !== exception);
    assert.notDeepEqual(findCycles(sources, others), [], `${exception} is no longer needed`);
  }
});

Deno.test("findGpuBreaches() finds live WebGPU objects outside src/gpu/, and none in the sources", () => {
  const code = "export function run(device: GPUDevice) {}";
  const breach = new Map([["src/plan/a.ts", code], ["src/gpu/a.ts", code], ["src/io/a.ts", `// ${code}`]]);
  assert.deepEqual(findGpuBreaches(breach), ["src/plan/a.ts: GPUDevice"]);
  assert.deepEqual(findGpuBreaches(sources), []);
});

Deno.test("findDenoBreaches() finds Deno where a browser must do, and nowhere in the sources", () => {
  const code = 'await Deno.readFile("https://example.org/a");';
  const breach = new Map([["src/io/a.ts", code], ["src/deno/a.ts", code], ["src/cli/a.ts", code]]);
  assert.deepEqual(findDenoBreaches(breach), ["src/io/a.ts: uses Deno"]);
  assert.deepEqual(findDenoBreaches(sources), []);
});

Deno.test("findStacks() finds what not every browser has, and none in the sources", () => {
  const code = "using stack = new DisposableStack();";
  const breach = new Map([["src/api/a.ts", code], ["src/cli/a.ts", code], ["src/io/a.ts", `// ${code}`]]);
  assert.deepEqual(findStacks(breach), ["src/api/a.ts: DisposableStack"]);
  assert.deepEqual(findStacks(sources), []);
});

Deno.test("findPrintBreaches() finds commands that print what files say as it is, and none in the sources", () => {
  const breach = new Map([["src/cli/a.ts", "console.log(name)"], ["src/cli/print.ts", "console.log(name)"]]);
  assert.deepEqual(findPrintBreaches(breach), ["src/cli/a.ts: uses console"]);
  assert.deepEqual(findPrintBreaches(sources), []);
});

Deno.test("findWgslImports() finds WGSL imported outside src/kernels/, and none in the sources", () => {
  const code = 'import text from "../../kernels/a.wgsl" with { type: "text" };';
  const breach = new Map([["src/gpu/a.ts", code], ["src/kernels/registry.ts", code]]);
  assert.deepEqual(findWgslImports(breach), ["src/gpu/a.ts: WGSL"]);
  assert.deepEqual(findWgslImports(sources), []);
});

Deno.test("findLongFiles() finds files over a number of lines, and none over 400 in the sources", () => {
  const breach = new Map([["src/a.ts", "1\n2\n3\n"], ["kernels/a.wgsl", "1\n2\n"], [
    "tests/a.ts",
    "1\n2\n3\n",
  ]]);
  assert.deepEqual(findLongFiles(breach, 2), ["src/a.ts: 3 lines"]);
  assert.deepEqual(findLongFiles(sources, 400), [], "one idea a file: over 400 lines needs a reason");
});

Deno.test("findMachinePaths() finds paths of one machine, and none in the repository", () => {
  const folder = ["", "work", "main"].join("/");
  assert.equal(
    findMachinePaths(new Map([["docs/a.md", `see ${folder}`], ["b.md", "frame/work/x"]])).length,
    1,
  );
  assert.deepEqual(findMachinePaths(sources), []);
});

Deno.test("select() finds the sources that the rules are about", () => {
  for (const path of ["src/errors.ts", "deno.json", "winnow", ".ci/run"]) assert(sources.has(path), path);
  assert(select(sources, /^src\/.*\.ts$/).length > 5);
});

/** Comparisons with a kind of layer in the sources outside src/model/; golden files and PyTorch's have kinds of their own. */
function findKindBreaches(files: ReadonlyMap<string, string>): readonly string[] {
  const kind = `"(${layerSchemas.flatMap(({ shape }) => [...shape.kind.values]).join("|")})"`;
  const asks = new RegExp(`(===|!==|\\bcase|\\.has\\(|Set\\(\\[)\\s*${kind}`);
  return [...files].filter(([path, text]) =>
    path.startsWith("src/") && !/^src\/(model|verify|io)\//.test(path) && asks.test(text)
  ).map(([path]) => path);
}

Deno.test("findKindBreaches() finds modules that ask for a kind of layer, and none in the sources", () => {
  const breach = new Map([
    ["src/prune/a.ts", 'if (spec.kind === "add") return;'],
    ["src/plan/b.ts", 'switch (kind) {\n  case "relu":'],
    ["src/plan/c.ts", 'const kinds = new Set([\n  "flatten",'],
    ["src/model/layers/add.ts", 'spec.kind === "add"'],
    ["src/plan/d.ts", "if (type.isSum) return;"],
  ]);
  assert.deepEqual(findKindBreaches(breach), ["src/prune/a.ts", "src/plan/b.ts", "src/plan/c.ts"]);
  assert.deepEqual(findKindBreaches(sources), []);
});
