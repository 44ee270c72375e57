/**
 * Stopping a command by Ctrl-C or SIGTERM: the first lets it end its step, a second one ends it at once.
 *
 * @module
 */
import { note } from "./print.ts";

/** What ends a command, by the number that makes its exit code. */
const signals = { SIGINT: 2, SIGTERM: 15 } as const;

/** Thrown where a command stops because it was told to. */
export class Stopped extends Error {
  /** An error for a signal. */
  constructor(readonly by: keyof typeof signals) {
    super(`stopped by ${by}`);
  }

  /** What shells give a process that ended so. */
  get exitCode(): number {
    return 128 + signals[this.by];
  }
}

/** `deno task` hands Ctrl-C on, which the terminal sends too: within this time two are one. */
const sameMs = 500;

/**
 * Listens for signals that ask the process to stop. Windows has no SIGTERM.
 *
 * @returns a signal that the first one aborts, with `Stopped` as its reason
 */
export function listenForStop(): AbortSignal {
  const controller = new AbortController();
  let firstMs = 0;
  for (const name of Object.keys(signals) as (keyof typeof signals)[]) {
    if (name === "SIGTERM" && Deno.build.os === "windows") continue;
    Deno.addSignalListener(name, () => {
      const stopped = new Stopped(name);
      if (!controller.signal.aborted) {
        firstMs = performance.now();
        note("stopping after this step; once more stops at once");
        controller.abort(stopped);
      } else if (performance.now() - firstMs > sameMs) Deno.exit(stopped.exitCode);
    });
  }
  return controller.signal;
}
