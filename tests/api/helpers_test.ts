/** What the functions beside a model do with numbers that cannot be. */
import { assertThrows } from "@std/assert";
import {
  averagedFrom,
  ConfigError,
  constantRate,
  cosineRate,
  limitDataset,
  oneCycleRate,
  removedAt,
  rewoundTo,
  ShapeError,
  signalToNoiseAt,
  splitCalibration,
  stagesTo,
  stepRate,
  takeSplit,
  warmedUp,
} from "../../mod.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";

const dataset = tinyDataset(), { train } = dataset;

Deno.test("functions beside a model name the number that cannot be", () => {
  const attempts: Readonly<Record<string, (value: number) => unknown>> = {
    'split examples by "seed"': (seed) => splitCalibration(train, { count: 10, seed }),
    'make schedule with "milestones[1]"': (milestone) => stepRate({ milestones: [0.5, milestone] }),
    'make schedule with "gamma"': (gamma) => stepRate({ gamma }),
    'make schedule with "floor"': (floor) => cosineRate({ floor }),
    'make schedule with "peakAt"': (peakAt) => oneCycleRate({ peakAt }),
    'make schedule with "rising"': (rising) => warmedUp(constantRate, rising),
    'make schedule with "start"': (start) => rewoundTo(constantRate, start),
    'remove weights by "sparsity"': (sparsity) => removedAt(sparsity, 10),
    'remove weights by "prunable"': (prunable) => removedAt(0.5, prunable),
    'find the signal to noise of "confidence"': signalToNoiseAt,
    'find stages to "sparsity"': stagesTo,
  };
  for (const [what, attempt] of Object.entries(attempts)) {
    for (const value of [NaN, -1, Infinity]) {
      assertThrows(() => attempt(value), ConfigError, `Cannot ${what}: ${value}, expected`);
    }
  }
  assertThrows(() => averagedFrom(1), ConfigError, "below 1");
});

Deno.test("taking rows refuses splits whose arrays do not fit their count, and rows that are none", () => {
  const short = { ...train, labels: train.labels.slice(1) };
  for (
    const take of [
      () => takeSplit(short, 3),
      () => splitCalibration(short, { count: 3, seed: 0 }),
      () => limitDataset({ ...dataset, train: short }, { train: 3 }),
    ]
  ) {
    assertThrows(
      take,
      ShapeError,
      'Cannot use examples "split.labels": 95 labels, expected 96, as count says',
    );
  }
  for (const row of [-1, 0.5, NaN, 96]) {
    assertThrows(() => takeSplit(train, [1, row] as never), ShapeError, `row ${row}, expected 1 to 96 rows`);
  }
});
