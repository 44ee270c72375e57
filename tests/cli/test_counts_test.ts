/** Tests of how the test runner counts. */

import assert from "node:assert/strict";
import { crashedAfterwards, readTestCounts } from "../../src/cli/test_counts.ts";

Deno.test("readTestCounts() reads the last summary, with colours, steps and ignored tests", () => {
  assert.deepEqual(readTestCounts("one ... ok\n\nok | 12 passed | 0 failed (3s)\n", true), {
    passed: 12,
    failed: 0,
    skipped: 0,
  });
  const output = "ok | 9 passed | 0 failed (1s)\n" +
    "\x1b[0m\x1b[31mFAILED\x1b[0m | 2 passed (1 step) | 3 failed (1 step) | 4 ignored | 5 filtered out \x1b[0m(89ms)\x1b[0m\n";
  assert.deepEqual(readTestCounts(output, false), { passed: 2, failed: 3, skipped: 4 });
});

Deno.test("readTestCounts() counts a run that ended badly without a failed test as a failure", () => {
  assert.deepEqual(readTestCounts("", false), { passed: 0, failed: 1, skipped: 0 });
  assert.deepEqual(readTestCounts("ok | 2 passed | 0 failed (1s)", false), {
    passed: 2,
    failed: 1,
    skipped: 0,
  });
  assert.deepEqual(readTestCounts("", true), { passed: 0, failed: 0, skipped: 0 });
});

Deno.test("crashedAfterwards() overlooks a crash after the summary, on software adapters alone", async () => {
  const summary = "ok | 12 passed | 0 failed (3s)\n";
  const cases: readonly [string, string | null, boolean, boolean][] = [
    [summary, "SIGSEGV", true, true],
    [summary, "SIGABRT", true, true],
    [summary, "SIGSEGV", false, false],
    [summary, "SIGKILL", true, false],
    [summary, "SIGTERM", true, false],
    [summary, "SIGINT", true, false],
    [summary, null, true, false],
    ["one ... ok\n", "SIGSEGV", true, false],
    ["", "SIGABRT", true, false],
  ];
  for (const [output, signal, isSoftware, wanted] of cases) {
    const end = { success: false, signal };
    const found = await crashedAfterwards(output, end, () => Promise.resolve(isSoftware));
    assert.equal(found, wanted, `${JSON.stringify(output)}, ${signal}, software ${isSoftware}`);
  }
});
