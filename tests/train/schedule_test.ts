import { assertEquals } from "@std/assert";
import {
  averagedFrom,
  averagedSchedule,
  constantRate,
  constantSchedule,
  cosineRate,
  finetuneSchedule,
  meanWeight,
  oneCycleRate,
  type RateShare,
  rewoundTo,
  stepRate,
  stepSchedule,
  warmedUp,
} from "../../src/train/schedule.ts";
import { cosineRates, multiStepRates, oneCycleRates, warmedUpRates } from "../reference/schedules.ts";
import { assertClose } from "../reference/tensor.ts";

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

const ratesOf = (rate: RateShare, steps: number) =>
  Array.from({ length: steps }, (_, step) => rate(step, steps));
/** Rates are of size 1 and come from some twenty operations in f64. */
const check = (name: string, rate: RateShare, want: readonly number[]) =>
  assertClose(ratesOf(rate, want.length), want, { tolerance: 1e-13 * want.length, name });

Deno.test("stepRate(), cosineRate() and oneCycleRate() are PyTorch's", () => {
  for (const steps of [1, 2, 3, 10, 101]) {
    check(`cosine ${steps}`, cosineRate(), cosineRates(steps, 0));
    check(`cosine to a floor ${steps}`, cosineRate({ floor: .1 }), cosineRates(steps, .1));
    if (steps === 1) continue;
    for (const peakAt of [.3, .45, .9]) {
      check(`one-cycle ${steps} ${peakAt}`, oneCycleRate({ peakAt }), oneCycleRates(steps, peakAt));
    }
  }
  check("step", stepRate({ milestones: [.5, .75], gamma: .1 }), multiStepRates(20, [10, 15], .1));
  check("no milestones", stepRate({ milestones: [] }), multiStepRates(5, [], .1));
  check("one-cycle from a 25th", (step) => oneCycleRate()(step, 10), [.04, .52, 1]);
  assertEquals(
    oneCycleRate()(0, 1),
    1 / 25 / 1e4,
    "one step alone ends at once, as PyTorch's last phase does",
  );
});

Deno.test("warmedUp() rises evenly, then gives the rest of the phase to the other rate", () => {
  check("cosine", warmedUp(cosineRate(), .2), warmedUpRates(4, cosineRates(16, 0)));
  check("step", warmedUp(stepRate({ milestones: [.5] }), .5), warmedUpRates(6, multiStepRates(6, [3], .25)));
  assertEquals(ratesOf(warmedUp(constantRate, 0), 3), [1, 1, 1]);
  assertEquals(ratesOf(warmedUp(constantRate, .99), 2), [1, 1], "a step is left for the other rate");
});

Deno.test("rewoundTo() repeats the end of a phase", () => {
  const whole = ratesOf(cosineRate(), 40);
  // The last 10 of 40 steps are those from three quarters on.
  assertClose(ratesOf(rewoundTo(cosineRate(), .75), 10), whole.slice(30), {
    tolerance: 1e-13,
    name: "cosine",
  });
  assertEquals(ratesOf(rewoundTo(stepRate(), 0), 10), ratesOf(stepRate(), 10));
  for (const steps of [1, 2, 7, 100]) {
    assertEquals(shares(finetuneSchedule, steps), Array(steps).fill(.25), "the rate at which training ended");
  }
});

Deno.test("meanWeight() weighs all averaged values alike, or by an exponential decay without bias", () => {
  const averaged = { ...constantSchedule, averagedCount: averagedFrom(.5) };
  const weights = (emaDecay?: number) =>
    Array.from(
      { length: 6 },
      (_, step) => meanWeight({ ...averaged, ...(emaDecay ? { emaDecay } : {}) }, step, 6),
    );
  assertEquals(weights(), [0, 0, 0, 1, 1 / 2, 1 / 3]);
  assertEquals(weights(.5), [0, 0, 0, 1, .5 / .75, .5 / .875]);
});
