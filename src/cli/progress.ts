/**
 * Progress on standard error: one redrawn line on a terminal, few plain lines elsewhere.
 *
 * @module
 */

import { escapeLine } from "../text/escape.ts";
import type { RunProgress } from "../train/phase.ts";

/** Where progress is written to. */
export interface ProgressTarget {
  /** Writes text as it is. */
  readonly write: (text: string) => void;
  /** Whether a carriage return redraws the line. */
  readonly isTerminal: boolean;
  /** Characters that fit on a line. */
  readonly columns: number;
  /** The time in milliseconds, `performance.now` by default. */
  readonly nowMs?: () => number;
}

/** How far a piece of work is. */
export interface ProgressState {
  /** What is being done, such as `train`; another label, or fewer steps done, starts another line and another clock. */
  readonly label: string;
  /** Steps done so far. */
  readonly done: number;
  /** Steps in all. */
  readonly total: number;
  /** Mean loss of the last steps. */
  readonly loss?: number | undefined;
  /** Fraction of right answers in [0, 1]. */
  readonly accuracy?: number | undefined;
  /** Examples that went through the network in a second. */
  readonly examplesPerSecond?: number | undefined;
}

/** A progress line. */
export interface Progress {
  /** Shows a state, unless one was shown just before. */
  update(state: ProgressState): void;
  /** Shows the last state and ends its line. */
  finish(): void;
}

const redrawMs = 100, plainMs = 1_000, plainIdleMs = 10_000, plainFraction = 0.1;

/** Formats a duration as `m:ss`, or `h:mm:ss` from an hour on. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.ceil(durationMs / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.slice(parts[0] === 0 ? 1 : 0)
    .map((part, index) => index === 0 ? String(part) : String(part).padStart(2, "0")).join(":");
}

/** Formats a state, with the time left where it is known, as one line. */
export function formatProgress(state: ProgressState, leftMs: number | undefined): string {
  const { label, done, total, loss, accuracy, examplesPerSecond } = state;
  const percent = total > 0 ? Math.floor((100 * done) / total) : 100;
  return [
    escapeLine(label),
    `${String(percent).padStart(3)} %`,
    loss === undefined ? "" : `loss ${loss.toFixed(4)}`,
    accuracy === undefined ? "" : `accuracy ${(100 * accuracy).toFixed(1)} %`,
    examplesPerSecond === undefined ? "" : `${Math.round(examplesPerSecond)} examples/s`,
    leftMs === undefined ? "" : `${formatDuration(leftMs)} left`,
  ].filter((part) => part !== "").join("  ");
}

/**
 * Opens a progress line. Off a terminal it prints a line at the start and the end of a label, and between them
 * after every tenth of the work but at most once a second, or after ten seconds.
 *
 * @example
 * ```ts
 * import { openProgress } from "./progress.ts";
 *
 * const write = (text: string) => console.log(text);
 * const progress = openProgress({ write, isTerminal: false, columns: 80 });
 * progress.update({ label: "train", done: 10, total: 100, loss: 2.3 });
 * progress.finish();
 * ```
 */
export function openProgress({ write, isTerminal, columns, nowMs }: ProgressTarget): Progress {
  const now = nowMs ?? (() => performance.now());
  let first: { readonly state: ProgressState; readonly timeMs: number } | undefined;
  let shown: { readonly state: ProgressState; readonly timeMs: number } | undefined;
  let last: ProgressState | undefined;

  const show = (state: ProgressState, timeMs: number) => {
    const steps = first === undefined ? 0 : state.done - first.state.done;
    const left = steps > 0 ? ((timeMs - first!.timeMs) / steps) * (state.total - state.done) : undefined;
    const line = formatProgress(state, state.done < state.total ? left : undefined);
    write(isTerminal ? `\r${line.slice(0, Math.max(1, columns - 1))}\x1b[K` : `${line}\n`);
    shown = { state, timeMs };
  };
  const isDue = (state: ProgressState, timeMs: number) => {
    if (shown === undefined || state.done >= state.total) return true;
    const elapsedMs = timeMs - shown.timeMs;
    if (isTerminal) return elapsedMs >= redrawMs;
    const advanced = (state.done - shown.state.done) / state.total;
    return elapsedMs >= plainIdleMs || (elapsedMs >= plainMs && advanced >= plainFraction);
  };
  const finish = () => {
    if (last !== undefined && shown?.state !== last) show(last, now());
    if (last !== undefined && isTerminal) write("\n");
    first = shown = last = undefined;
  };
  return {
    update(state) {
      // The same work again, such as the next stage of a refit, is a line of its own.
      if (last !== undefined && (last.label !== state.label || state.done < last.done)) finish();
      const timeMs = now();
      first ??= { state, timeMs };
      const due = isDue(state, timeMs);
      last = state;
      if (due) show(state, timeMs);
    },
    finish,
  };
}

/** A progress line on standard error. */
export function openErrorProgress(): Progress {
  return openProgress({
    write: (text) => void Deno.stderr.writeSync(new TextEncoder().encode(text)),
    isTerminal: Deno.stderr.isTerminal(),
    columns: Deno.stderr.isTerminal() ? Deno.consoleSize().columns : 80,
  });
}

/** Shows the phases of a run on a progress line. */
export function showPhases(progress: Progress): (label: string, state: RunProgress) => void {
  return (label, { step, steps, loss, accuracy, examplesPerSecond }) =>
    progress.update({ label, done: step, total: steps, loss, accuracy, examplesPerSecond });
}

/** Work that is done before this, in ms, is not shown. */
const quietMs = 2_000;

/** Loads examples with a progress line for images, which stays away if they are decoded within two seconds. */
export async function showDecoding<Loaded>(
  load: (onDecoded: (done: number, total: number) => void) => Promise<Loaded>,
): Promise<Loaded> {
  const progress = openErrorProgress(), startMs = performance.now();
  let isShown = false;
  try {
    return await load((done, total) => {
      isShown ||= performance.now() - startMs > quietMs && done < total;
      if (isShown) progress.update({ label: "decode images", done, total });
    });
  } finally {
    progress.finish();
  }
}
