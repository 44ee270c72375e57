/** Tests of the progress line. */

import assert from "node:assert/strict";
import { formatDuration, formatProgress, openProgress, type ProgressState } from "../../src/cli/progress.ts";

/** Opens a progress line on a clock that the test sets, and records what is written. */
function record(isTerminal: boolean, columns = 200) {
  const written: string[] = [];
  const clock = { timeMs: 0 };
  const write = (text: string) => void written.push(text);
  return {
    written,
    clock,
    progress: openProgress({ write, isTerminal, columns, nowMs: () => clock.timeMs }),
  };
}

Deno.test("formatDuration() rounds up to seconds and shows hours only from one on", () => {
  assert.deepEqual([0, 1, 61_000, 3_599_000, 3_600_000, 36_061_000].map(formatDuration), [
    "0:00",
    "0:01",
    "1:01",
    "59:59",
    "1:00:00",
    "10:01:01",
  ]);
});

Deno.test("formatProgress() shows what is known", () => {
  const state: ProgressState = { label: "train", done: 1, total: 4 };
  assert.equal(formatProgress(state, undefined), "train   25 %");
  assert.equal(
    formatProgress({ ...state, loss: 2.30258, accuracy: 0.1234, examplesPerSecond: 812.6 }, 61_000),
    "train   25 %  loss 2.3026  accuracy 12.3 %  813 examples/s  1:01 left",
  );
  assert.equal(formatProgress({ label: "none", done: 0, total: 0 }, undefined), "none  100 %");
});

Deno.test("openProgress() redraws one line on a terminal, at most ten times a second, and cuts it", () => {
  const { written, clock, progress } = record(true, 13);
  for (let done = 1; done <= 100; done++) {
    clock.timeMs += 10;
    progress.update({ label: "train", done, total: 100, loss: 1 });
  }
  progress.finish();
  assert(written.length <= 13, `${written.length} writes`);
  assert(written.slice(0, -1).every((text) => text.startsWith("\rtrain ") && text.endsWith("\x1b[K")));
  assert(written.slice(0, -1).every((text) => text.length === 1 + 12 + 3));
  assert.equal(written.at(-1), "\n");
  assert(written.at(-2)!.includes("100 %"));
});

Deno.test("openProgress() tells the time left from the pace since the label's first state", () => {
  const { written, clock, progress } = record(true);
  progress.update({ label: "train", done: 10, total: 40 });
  clock.timeMs = 20_000;
  progress.update({ label: "train", done: 20, total: 40 });
  assert(!written[0]!.includes("left"));
  assert(written[1]!.includes("0:40 left"));
});

Deno.test("openProgress() prints few plain lines where it cannot redraw", () => {
  const { written, clock, progress } = record(false);
  for (let done = 1; done <= 1000; done++) {
    clock.timeMs += 50;
    progress.update({ label: "train", done, total: 1000 });
  }
  progress.finish();
  assert(written.length >= 10 && written.length <= 12, `${written.length} lines`);
  assert(written.every((line) => /^train [^\r]*[\w%]\n$/.test(line)));
});

Deno.test("openProgress() prints a plain line every ten seconds of slow work, two of fast work", () => {
  const slow = record(false);
  for (let done = 1; done <= 50; done++) {
    slow.clock.timeMs += 1000;
    slow.progress.update({ label: "slow", done, total: 100_000 });
  }
  assert.equal(slow.written.length, 5);
  const fast = record(false);
  for (let done = 1; done <= 50; done++) fast.progress.update({ label: "fast", done, total: 50 });
  fast.progress.finish();
  assert.equal(fast.written.length, 2);
});

Deno.test("openProgress() ends a label's line with its last state before the next label's", () => {
  const { written, progress } = record(false);
  progress.update({ label: "train", done: 1, total: 9 });
  progress.update({ label: "train", done: 2, total: 9 });
  progress.update({ label: "score", done: 1, total: 2 });
  progress.finish();
  assert.deepEqual(written.map((line) => line.slice(0, 12).trim()), [
    "train   11 %",
    "train   22 %",
    "score   50 %",
  ]);
  progress.finish();
  assert.equal(written.length, 3);
});

Deno.test("openProgress() starts anew where the same work begins again", () => {
  const { written, clock, progress } = record(false);
  for (const done of [0, 2, 0, 1]) {
    clock.timeMs += 10_000;
    progress.update({ label: "replace", done, total: 4 });
  }
  progress.finish();
  assert.deepEqual(written, [
    ...["replace    0 %\n", "replace   50 %  0:10 left\n"],
    ...["replace    0 %\n", "replace   25 %  0:30 left\n"],
  ]);
});
