/**
 * Runs a command: the one place that prints errors and ends the process.
 *
 * @module
 */

import { isWinnowError } from "../errors.ts";
import { printError } from "./print.ts";
import { listenForStop, Stopped } from "./stop.ts";

/** What an error looks like to the user: one line where they can act on it, with its stack where it is a bug. */
export function formatError(error: unknown): string {
  if (isWinnowError(error)) {
    const { message } = error, most = 4000;
    // A file may hold names of any length.
    const cut = message.length > most
      ? `${message.slice(0, most / 2)} ... ${message.slice(-most / 2)}`
      : message;
    return `error: ${cut.replaceAll(/\s*\n\s*/g, " ")}`;
  }
  const detail = error instanceof Error ? error.stack ?? String(error) : String(error);
  return `error: winnow failed unexpectedly, which is a bug\n${detail}`;
}

/**
 * Runs `main` and returns the exit code that follows from it.
 *
 * @param main returns the exit code of a run that did not throw
 * @param writeLine receives what an error looks like, without a line feed at its end
 */
export async function getExitCode(
  main: () => Promise<number>,
  writeLine: (line: string) => void,
): Promise<number> {
  try {
    return await main();
  } catch (error) {
    if (error instanceof Stopped) return error.exitCode;
    writeLine(formatError(error));
    return 1;
  }
}

/** Runs a command's `main`, prints its error on standard error, and ends the process with its exit code. */
export async function runCommand(main: () => Promise<number>): Promise<never> {
  Deno.exit(await getExitCode(main, printError));
}

/** Runs a command that ends its step, and throws the reason of the signal, when it is told to stop. */
export async function runStoppable(main: (signal: AbortSignal) => Promise<number>): Promise<never> {
  const signal = listenForStop();
  return await runCommand(() => main(signal));
}
