/**
 * Reads the counts that `deno test` prints last.
 *
 * @module
 */

/** How the tests of a run ended. */
export interface TestCounts {
  /** Tests that passed. */
  readonly passed: number;
  /** Tests that failed, files that did not load included. */
  readonly failed: number;
  /** Tests that were skipped. */
  readonly skipped: number;
}

/** How the test process ended. */
export interface TestEnd {
  readonly success: boolean;
  /** The signal that ended it, such as `SIGSEGV`; null where it ended by itself. */
  readonly signal: string | null;
}

const colourCodes = new RegExp(String.raw`\x1b\[[0-9;]*m`, "g");
const summaryLine =
  /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?.*$/gm;

/**
 * Reads the last summary line of `deno test`'s output.
 *
 * @param output all that it printed on standard output
 * @param success whether it exited with 0; where it did not and names no failure, such as after a type error
 * that kept every test from running, that counts as one
 */
export function readTestCounts(output: string, success: boolean): TestCounts {
  const summary = [...output.replaceAll(colourCodes, "").matchAll(summaryLine)].at(-1);
  const [passed, failed, skipped] = [1, 2, 3].map((group) => Number(summary?.[group] ?? 0));
  return { passed: passed!, failed: success ? failed! : Math.max(1, failed!), skipped: skipped! };
}

/** How a driver crashes. Other signals come from people, or from the system where memory runs out. */
const crashes: ReadonlySet<string> = new Set(["SIGSEGV", "SIGABRT"]);

/**
 * True where the test process crashed after its last test and that may be overlooked: software drivers now and then crash
 * while the process unloads them, when all tests have run and are counted.
 *
 * @param output all that it printed on standard output
 * @param isSoftware finds out whether the adapter computes on the processor
 */
export async function crashedAfterwards(
  output: string,
  { signal }: TestEnd,
  isSoftware: () => Promise<boolean>,
): Promise<boolean> {
  if (signal === null || !crashes.has(signal)) return false;
  return readTestCounts(output, true).passed > 0 && await isSoftware();
}
