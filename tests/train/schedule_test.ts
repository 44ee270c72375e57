import { assertEquals } from "@std/assert";
import { averagedSchedule, constantSchedule, stepSchedule } from "../../src/train/schedule.ts";

const shares = (schedule: typeof stepSchedule, steps: number) =>
  Array.from({ length: steps }, (_, step) => schedule.learningRateShare(step, steps));
const counts = (schedule: typeof stepSchedule, steps: number) =>
  Array.from({ length: steps }, (_, step) => schedule.averagedCount(step, steps));

Deno.test("stepSchedule takes a quarter of the rate after 60 % and averages the last quarter", () => {
  assertEquals(shares(stepSchedule, 10), [1, 1, 1, 1, 1, 1, 0.25, 0.25, 0.25, 0.25]);
  assertEquals(counts(stepSchedule, 8), [0, 0, 0, 0, 0, 0, 1, 2]);
});

Deno.test("stepSchedule averages at least the last step, however short the phase", () => {
  for (const steps of [1, 2, 3, 5, 100]) {
    const averaged = counts(stepSchedule, steps);
    assertEquals(averaged.at(-1)! >= 1, true, `${steps} steps`);
    // It counts up by one, so that the mean weighs every averaged step alike.
    const kept = averaged.filter((count) => count > 0);
    assertEquals(kept, kept.map((_, i) => i + 1));
  }
});

Deno.test("constantSchedule and averagedSchedule keep the rate and average nothing or all", () => {
  assertEquals(shares(constantSchedule, 3), [1, 1, 1]);
  assertEquals(counts(constantSchedule, 3), [0, 0, 0]);
  assertEquals(shares(averagedSchedule, 3), [1, 1, 1]);
  assertEquals(counts(averagedSchedule, 3), [1, 2, 3]);
});
