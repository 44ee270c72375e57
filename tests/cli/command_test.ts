/** Tests of how commands end. */

import assert from "node:assert/strict";
import { getExitCode } from "../../src/cli/command.ts";
import { ConfigError } from "../../src/errors.ts";

/** Runs a main and returns its exit code and what it printed. */
async function run(main: () => Promise<number>): Promise<[number, string[]]> {
  const lines: string[] = [];
  return [await getExitCode(main, (line) => lines.push(line)), lines];
}

Deno.test("getExitCode() passes the exit code of a main that returns", async () => {
  assert.deepEqual(await run(() => Promise.resolve(0)), [0, []]);
  assert.deepEqual(await run(() => Promise.resolve(3)), [3, []]);
});

Deno.test("getExitCode() prints winnow's own errors as one line without a stack", async () => {
  const details = { act: "use", thing: "--seed", current: '"a\nb"', wanted: "a number" };
  const [code, lines] = await run(() => Promise.reject(new ConfigError(details)));
  assert.equal(code, 1);
  assert.deepEqual(lines, ['error: Cannot use "--seed": "a b", expected a number']);
});

Deno.test("getExitCode() cuts what a name of a file makes long", async () => {
  const details = { act: "use", thing: "x".repeat(1e6), current: "it is long", wanted: "a short one" };
  const [, lines] = await run(() => Promise.reject(new ConfigError(details)));
  assert(lines[0]!.length < 5000);
  assert(lines[0]!.endsWith('": it is long, expected a short one'));
});

Deno.test("getExitCode() prints other errors with their stack", async () => {
  const [code, lines] = await run(() => {
    throw new TypeError("not a function");
  });
  assert.equal(code, 1);
  assert.match(lines[0]!, /^error: winnow failed unexpectedly.*\nTypeError: not a function\n +at /);
  assert.deepEqual((await run(() => Promise.reject("text")))[0], 1);
});
