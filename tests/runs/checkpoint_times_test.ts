/** Tests of when checkpoints are due. */
import { assertEquals } from "@std/assert";
import { checkpointTimes } from "../../src/runs/checkpoint_times.ts";

/** Times by a clock that a test sets, with saving that takes so long. */
function timed(every: number | undefined, tookMs: number) {
  const clock = { ms: 0 }, times = checkpointTimes(every, () => clock.ms);
  const save = () =>
    times.saving(() => {
      clock.ms += tookMs;
      return Promise.resolve();
    });
  return { clock, times, save };
}

Deno.test("checkpointTimes() by default has one due five minutes after the last", async () => {
  const { clock, times, save } = timed(undefined, 1000), minute = 60_000;
  const dueAt = (ms: number) => {
    clock.ms = ms;
    return times.isDue(1);
  };
  assertEquals([dueAt(0), dueAt(5 * minute - 1), dueAt(5 * minute)], [false, false, true]);
  await save();
  assertEquals([dueAt(6 * minute), dueAt(10 * minute + 1000)], [false, true]);
});

Deno.test("checkpointTimes() by default has one due after a phase where it takes little of the time", async () => {
  const { clock, times, save } = timed(undefined, 100);
  assertEquals(times.isDueAfterPhase(), true, "the first, whose time is not known");
  await save();
  const dueAfter = (ms: number) => {
    clock.ms = 100 + ms;
    return times.isDueAfterPhase();
  };
  // A fiftieth of the time at most.
  assertEquals([dueAfter(0), dueAfter(4999), dueAfter(5000)], [false, false, true]);
});

Deno.test("checkpointTimes() has one due every so many steps and after each phase, where that is told", async () => {
  const { times, save } = timed(4, 1e9);
  await save();
  assertEquals([1, 3, 4, 6, 8].filter((step) => times.isDue(step)), [4, 8]);
  assertEquals(times.isDueAfterPhase(), true);
});
