import { assertEquals } from "@std/assert";
import { optimizerOf, scheduleOf, trainingOf } from "../../src/runs/read_training.ts";
import { parsePruneConfig } from "../../src/config.ts";
import {
  cosineRate,
  finetuneSchedule,
  type Schedule,
  stepSchedule,
  warmedUp,
} from "../../src/train/schedule.ts";

const configOf = (value: Record<string, unknown>) => parsePruneConfig(value, "a test");

Deno.test("optimizerOf() reads the optimizer out of a configuration", () => {
  const of = (optimizer: string, more = {}) =>
    optimizerOf(configOf({ optimizer, weightDecay: 0.1, ...more }));
  const momentum = 0.8;
  assertEquals(of("sgd"), { kind: "sgd", momentum: 0, nesterov: false, weightDecay: 0.1 });
  assertEquals(of("momentum", { momentum }), { kind: "sgd", momentum, nesterov: false, weightDecay: 0.1 });
  assertEquals(of("nesterov", { momentum }), { kind: "sgd", momentum, nesterov: true, weightDecay: 0.1 });
  const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1 };
  assertEquals([of("adam"), of("adamw")], [{ kind: "adam", ...adam }, { kind: "adamw", ...adam }]);
});

Deno.test("optimizerOf() hands on how gradients and values are held down", () => {
  const of = (more: Record<string, unknown>) =>
    optimizerOf(configOf({ optimizer: "sgd", weightDecay: 0, ...more }));
  const plain = { kind: "sgd", momentum: 0, nesterov: false, weightDecay: 0 };
  assertEquals(of({ l1: 0.1, decayBias: false, clipNorm: 2 }), {
    ...plain,
    l1: 0.1,
    decayBias: false,
    clipNorm: 2,
  });
  assertEquals(of({ clipValue: 3 }), { ...plain, clipValue: 3 });
});

/** What a schedule does at each of so many steps. */
const walk = ({ learningRateShare, averagedCount, emaDecay }: Schedule, steps: number) =>
  Array.from(
    { length: steps },
    (_, step) => [learningRateShare(step, steps), averagedCount(step, steps), emaDecay],
  );

Deno.test("scheduleOf() is stepSchedule and finetuneSchedule by default", () => {
  for (const steps of [1, 2, 7, 93, 1000]) {
    assertEquals(walk(scheduleOf(configOf({}), "train"), steps), walk(stepSchedule, steps));
    assertEquals(walk(scheduleOf(configOf({}), "finetune"), steps), walk(finetuneSchedule, steps));
  }
});

Deno.test("scheduleOf() reads schedules, warm-up, rewinding and averaging", () => {
  const rates = (value: Record<string, unknown>, phase: "train" | "finetune", steps: number) =>
    walk(scheduleOf(configOf(value), phase), steps).map(([rate]) => rate);
  assertEquals(rates({ schedule: "constant" }, "train", 3), [1, 1, 1]);
  assertEquals(rates({ milestones: "0.5, 0.75", gamma: 0.5 }, "train", 4), [1, 1, 0.5, 0.25]);
  const warm = warmedUp(cosineRate({ floor: 0.1 }), 0.25),
    whole = Array.from({ length: 8 }, (_, step) => warm(step, 8));
  assertEquals(rates({ schedule: "cosine", rateFloor: 0.1, warmup: 0.25 }, "train", 8), whole);
  const rewound = rates({ schedule: "cosine", rateFloor: 0.1, warmup: 0.25, rewind: 0.5 }, "finetune", 4);
  assertEquals(rewound, whole.slice(4));
  assertEquals(rates({ schedule: "one-cycle", peakAt: 0.5 }, "train", 4)[1], 1);
  const averages = (value: Record<string, unknown>) =>
    walk(scheduleOf(configOf(value), "train"), 4).map(([, count, decay]) => [count, decay]);
  assertEquals(averages({ averaging: "none" }), Array(4).fill([0, undefined]));
  assertEquals(averages({ averaging: "ema", averageFrom: 0.5 }), [[0, .999], [0, .999], [1, .999], [
    2,
    .999,
  ]]);
});

Deno.test("trainingOf() takes flips for colour images, and stops early with validation examples alone", () => {
  const of = (value: Record<string, unknown>, channels = 3) => trainingOf(configOf(value), { channels });
  assertEquals([of({}).augmentation, of({}, 1).augmentation, of({ augment: "flip-crop" }, 1).augmentation], [
    "flip",
    "none",
    "flip-crop",
  ]);
  assertEquals([of({}).earlyStopping, of({}).recalibration, of({}).accumulate], [undefined, "augmented", 1]);
  const { earlyStopping } = of({ validation: 100, patience: 2, stopOn: "loss" });
  assertEquals(earlyStopping, { patience: 2, measure: "loss" });
  assertEquals(of({ cutout: 8, accumulate: 4, recalibrate: "plain" }).cutout, 8);
  assertEquals([of({}).mixup, of({ mixup: 0.2 }).mixup], [0, 0.2]);
});
