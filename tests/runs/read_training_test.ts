import { assertEquals } from "@std/assert";
import { readDistillation, readSchedule, readTraining } from "../../src/runs/read_training.ts";
import { adam } from "../../src/plan/optimizer.ts";
import { configOf } from "../helpers/config.ts";
import {
  cosineRate,
  finetuneSchedule,
  type Schedule,
  stepSchedule,
  warmedUp,
} from "../../src/train/schedule.ts";

Deno.test("readTraining() hands on the optimizer", () => {
  const of = (optimizer: string, more = {}) =>
    readTraining(configOf({ optimizer, weightDecay: 0.1, ...more }), { channels: 3 }).optimizer;
  const momentum = 0.8, usual = { weightDecay: 0.1, l1: 0, decayBias: true };
  assertEquals(of("sgd"), { kind: "sgd", momentum: 0, nesterov: false, ...usual });
  assertEquals(of("momentum", { momentum }), { kind: "sgd", momentum, nesterov: false, ...usual });
  assertEquals(of("nesterov", { momentum }), { kind: "sgd", momentum, nesterov: true, ...usual });
  // Where nothing is said, as the library has it.
  assertEquals(of("adam"), { ...adam({ weightDecay: 0.1 }), l1: 0, decayBias: true });
  assertEquals(of("adamw"), { ...adam({ kind: "adamw", weightDecay: 0.1 }), l1: 0, decayBias: true });
});

Deno.test("readTraining() hands on how gradients and values are held down", () => {
  const of = (more: Record<string, unknown>) =>
    readTraining(configOf({ optimizer: "sgd", weightDecay: 0, l1: 0.1, ...more }), { channels: 3 }).optimizer;
  const plain = { kind: "sgd", momentum: 0, nesterov: false, weightDecay: 0, l1: 0.1, decayBias: true };
  assertEquals(of({ decayBias: false, clipNorm: 2 }), { ...plain, decayBias: false, clipNorm: 2 });
  assertEquals(of({ clipValue: 3 }), { ...plain, clipValue: 3 });
});

/** What a schedule does at each of so many steps. */
const walk = ({ learningRateShare, averagedCount, emaDecay }: Schedule, steps: number) =>
  Array.from(
    { length: steps },
    (_, step) => [learningRateShare(step, steps), averagedCount(step, steps), emaDecay],
  );

Deno.test("readSchedule() is stepSchedule and finetuneSchedule by default", () => {
  for (const steps of [1, 2, 7, 93, 1000]) {
    assertEquals(walk(readSchedule(configOf({}), "train"), steps), walk(stepSchedule, steps));
    assertEquals(walk(readSchedule(configOf({}), "finetune"), steps), walk(finetuneSchedule, steps));
  }
});

Deno.test("readSchedule() reads schedules, warm-up, rewinding and averaging", () => {
  const rates = (value: Record<string, unknown>, phase: "train" | "finetune", steps: number) =>
    walk(readSchedule(configOf(value), phase), steps).map(([rate]) => rate);
  assertEquals(rates({ schedule: "constant" }, "train", 3), [1, 1, 1]);
  assertEquals(rates({ milestones: "0.5,0.75", gamma: 0.5 }, "train", 4), [1, 1, 0.5, 0.25]);
  const warm = warmedUp(cosineRate({ floor: 0.1 }), 0.25),
    whole = Array.from({ length: 8 }, (_, step) => warm(step, 8));
  assertEquals(rates({ schedule: "cosine", rateFloor: 0.1, warmup: 0.25 }, "train", 8), whole);
  const rewound = rates({ schedule: "cosine", rateFloor: 0.1, warmup: 0.25, rewind: 0.5 }, "finetune", 4);
  assertEquals(rewound, whole.slice(4));
  assertEquals(rates({ schedule: "one-cycle", peakAt: 0.5 }, "train", 4)[1], 1);
  const averages = (value: Record<string, unknown>) =>
    walk(readSchedule(configOf(value), "train"), 4).map(([, count, decay]) => [count, decay]);
  assertEquals(averages({ averaging: "none" }), Array(4).fill([0, undefined]));
  assertEquals(averages({ averaging: "ema", averageFrom: 0.5 }), [[0, .999], [0, .999], [1, .999], [
    2,
    .999,
  ]]);
});

Deno.test("readTraining() takes flips for colour images, and stops early with validation examples alone", () => {
  const of = (value: Record<string, unknown>, channels = 3) => readTraining(configOf(value), { channels });
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

Deno.test("readDistillation() reads what is learned from a teacher, where anything is", () => {
  assertEquals(readDistillation(configOf()), undefined);
  const plain = { share: 0.5, temperature: 4, featureWeight: undefined, featureMaps: undefined };
  assertEquals(readDistillation(configOf({ distill: 0.5 })), plain);
  const more = { distill: 0.5, temperature: 2, distillFeatures: 3, distillMaps: "stages" };
  const features = { share: 0.5, temperature: 2, featureWeight: 3, featureMaps: "stages" as const };
  assertEquals(readDistillation(configOf(more)), features);
});
