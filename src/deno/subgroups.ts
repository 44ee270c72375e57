/**
 * Runs the subgroup probe in a helper process.
 *
 * @module
 */
import { z } from "zod";
import { coreSubgroupSize, type SubgroupProbe } from "../gpu/subgroups.ts";
import { spawnDeno } from "./child.ts";
import { escapeLine } from "../text/escape.ts";

/** Milliseconds after which the helper is given up. */
const probeTimeoutMs = 30_000;

/** Milliseconds within which a signal to both processes reaches this one after it ended the helper. */
const signalDelayMs = 500;

const answerSchema = z.strictObject({ subgroupSize: z.int().min(1).nullable() });

/** How a probe is run: another script or another patience, in tests. */
export interface ProbeOptions {
  /** The address of the script that probes. Default: subgroup_probe.ts. */
  readonly script?: string;
  /** Milliseconds after which the helper process is given up. Default: 30,000. */
  readonly timeoutMs?: number;
  /** Called with one line that says why a probe could not be run to its end. Default: standard error hears it. */
  readonly onFailure?: (line: string) => void;
  /** Ends the helper process; the probe then throws the signal's reason, and says nothing. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Tries subgroups in a helper process; needs `--allow-run=deno`. Whatever goes wrong there, or where it may not be
 * started, subgroups are not used, and one line says why.
 *
 * @returns The probe; it throws the reason of `options.signal` if that ends it.
 */
export function subgroupProbe(
  {
    script = new URL("./subgroup_probe.ts", import.meta.url).href,
    timeoutMs = probeTimeoutMs,
    onFailure = (line) => console.warn(escapeLine(line)),
    signal,
  }: ProbeOptions = {},
): SubgroupProbe {
  return async ({ adapter, minSize = 0, maxSize = Infinity }) => {
    // No core is written for other sizes, so that there is nothing to try.
    if (maxSize < coreSubgroupSize || minSize > coreSubgroupSize) return undefined;
    const answer = await runProbe(script, { adapter, timeoutMs, signal });
    signal?.throwIfAborted();
    if ("subgroupSize" in answer) return answer.subgroupSize ?? undefined;
    onFailure(`note: subgroups are not used, which may cost half of the speed: ${answer.failure}`);
    return undefined;
  };
}

/** Tries subgroups in a helper process, and says on standard error why where that could not be done. */
export const probeSubgroups: SubgroupProbe = subgroupProbe();

type Answer = z.output<typeof answerSchema> | { readonly failure: string };

async function runProbe(
  script: string,
  { adapter, timeoutMs, signal: stop }: {
    readonly adapter: string;
    readonly timeoutMs: number;
    readonly signal: AbortSignal | undefined;
  },
): Promise<Answer> {
  // Asked for first, since starting a process without permission asks the user.
  if (Deno.permissions.querySync({ name: "run", command: "deno" }).state !== "granted") {
    return { failure: "the probe could not be started: it takes --allow-run=deno" };
  }
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const child = spawnDeno({
      // Like the process that asks, it finds its adapter through the backends that the environment names.
      args: ["run", "--quiet", "--no-prompt", "--allow-env=DENO_WEBGPU_BACKEND", script, adapter],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1" },
      signal: stop ? AbortSignal.any([late, stop]) : late,
    });
    const { code, signal, stdout, stderr } = await child.output();
    const decoder = new TextDecoder(), text = decoder.decode(stdout);
    // Who answered is done, even where its driver crashes while it is unloaded, as software drivers do now and then.
    const answer = answerSchema.safeParse(parseJson(text));
    if (answer.success) return answer.data;
    if (late.aborted) return { failure: `the probe took more than ${timeoutMs / 1000} s` };
    if (code === 0) return { failure: `the probe answered ${JSON.stringify(text.slice(0, 60))}` };
    const cause = decoder.decode(stderr).split("\n").findLast((line) => /^error|panicked/i.test(line));
    if (signal === "SIGINT" || signal === "SIGTERM") await abortWithin(signalDelayMs, stop);
    const end = signal === null ? `exit code ${code}` : signal;
    return { failure: `the probe ended with ${end}${cause === undefined ? "" : `: ${cause}`}` };
  } catch (error) {
    // Not allowed, or there is no program named deno.
    return { failure: `the probe could not be started: ${(error as Error).message}` };
  }
}

/** Waits until a signal is aborted, for some milliseconds at most. */
async function abortWithin(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  if (!signal || signal.aborted) return;
  await new Promise<void>((done) => {
    const timer = setTimeout(done, delayMs);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      done();
    }, { once: true });
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
