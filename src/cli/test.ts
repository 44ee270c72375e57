/**
 * Runs the tests with the permissions that they need, and ends with one line of counts.
 *
 * @module
 */

import { z } from "zod";
import { isAbsolute, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { findAdapter } from "../gpu/backend.ts";
import { spawnDeno } from "../deno/child.ts";
import { runCommand } from "./command.ts";
import { type FlagField, formatHelp, ownFlags, parseFlags } from "./flags.ts";
import { crashedAfterwards, readTestCounts, type TestCounts } from "./test_counts.ts";
import { note, print } from "./print.ts";

/** Tests read fixtures anywhere, write into temporary folders, start commands, and serve on this machine. */
const permissions = [
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-net=127.0.0.1,localhost",
  "--allow-run=deno,sh",
];

/** The repository's folder, and in it the tests of kernels and what compares them with what plans ask for. */
const root = fileURLToPath(new URL("../..", import.meta.url));
const kernelTests = join(root, "tests", "kernels"), coverageTest = join(kernelTests, "coverage.ts");

const own = ownFlags({
  filter: z.string().min(1).optional().describe(
    "Run only the tests with this text, or /pattern/, in their name.",
  ),
});

/** Its flags. */
export const fields: readonly FlagField[] = own.fields;

const summary =
  "Runs the tests of the given files and folders, or all of them, and ends with a line such as " +
  '"120 passed, 0 failed". Exits with 1 where a test failed or none ran.';

/** Copies a stream to standard output as it comes, and returns its text. */
async function passThrough(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    text += decoder.decode(bytes, { stream: true });
    for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
  }
  return text + decoder.decode();
}

/**
 * Runs `deno test` in the repository's folder.
 *
 * @param env What tests are told beside this process's environment.
 */
async function runTests(
  paths: readonly string[],
  { filter, env = {} }: {
    readonly filter?: string | undefined;
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<TestCounts> {
  // In parallel, since most of the time goes into compiling kernels, which keeps one processor busy.
  const args = [
    "test",
    "--parallel",
    ...permissions,
    ...(filter === undefined ? [] : [`--filter=${filter}`]),
    ...paths,
  ];
  const colours = Deno.stdout.isTerminal() && !Deno.noColor;
  const child = spawnDeno({
    args,
    cwd: root,
    env: { ...env, ...(colours ? { FORCE_COLOR: "1" } : {}) },
    stdout: "piped",
  });
  const [output, end] = await Promise.all([passThrough(child.stdout), child.status]);
  // The line of counts is to stand alone, wherever the process was ended.
  if (!output.endsWith("\n")) print("");
  if (!await crashedAfterwards(output, end, isOnSoftware)) return readTestCounts(output, end.success);
  note(
    `note: the test process ended by ${end.signal} after its last test, while its software driver was unloaded`,
  );
  return readTestCounts(output, true);
}

/** Runs tests and, where all tests of kernels are among them, compares what these covered with what plans ask for. */
async function runAll(paths: readonly string[], filter: string | undefined): Promise<TestCounts> {
  const hasKernels = paths.some((path) => !relative(path, kernelTests).startsWith(".."));
  if (filter !== undefined || !hasKernels) return await runTests(paths, { filter });
  // The processes of this run find each other's notes by its name (tests/kernels/variants.ts).
  const env = { WINNOW_TEST_RUN: crypto.randomUUID() };
  const counts = [await runTests(paths, { env }), await runTests([coverageTest], { env })];
  const sum = (key: keyof TestCounts) => counts.reduce((total, count) => total + count[key], 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
}

/** True where the adapter that the tests take computes on the processor. */
async function isOnSoftware(): Promise<boolean> {
  return (await findAdapter("auto"))?.isFallback === true;
}

/** Reads the flags, runs the tests and prints the counts. */
async function main(): Promise<number> {
  const { values, positionals, help } = parseFlags(Deno.args, fields, { positionals: true });
  if (help) {
    print(formatHelp({ usage: "./winnow test [FLAGS] [FILE|FOLDER...]", summary, fields }));
    return 0;
  }
  const paths = positionals.map((path) => isAbsolute(path) ? path : resolve(Deno.cwd(), path));
  const { passed, failed, skipped } = await runAll(
    paths.length === 0 ? [join(root, "tests")] : paths,
    own.read(values).filter,
  );
  if (passed + failed === 0) note("error: no test ran");
  print(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

if (import.meta.main) await runCommand(main);
