import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  describeDataset,
  type ImageSplit,
  limitDataset,
  splitCalibration,
  takeSplit,
} from "../../src/data/dataset.ts";
import { ShapeError } from "../../src/errors.ts";

/** A split (count, 2, 1, 2) in which row i has pixels 4i to 4i + 3 and label i. */
function countingSplit(count: number): ImageSplit {
  return {
    pixels: Uint8Array.from({ length: count * 4 }, (_, i) => i),
    labels: Uint8Array.from({ length: count }, (_, i) => i),
    count,
  };
}

function countingDataset(train: number, test: number) {
  return describeDataset({
    name: "counting",
    source: "test",
    channels: 2,
    height: 1,
    width: 2,
    classes: Array.from({ length: 10 }, (_, i) => `${i}`),
    train: countingSplit(train),
    test: countingSplit(test),
  });
}

Deno.test("describeDataset() takes mean and deviation of each channel of the training images", () => {
  const { mean, std } = countingDataset(2, 1);
  // Channel 0 holds 0, 1, 4, 5 and channel 1 holds 2, 3, 6, 7: mean 2.5 and 4.5, variance 4.25.
  for (
    const [got, want] of [[mean[0], 2.5], [mean[1], 4.5], [std[0], Math.sqrt(4.25)], [
      std[1],
      Math.sqrt(4.25),
    ]]
  ) {
    assertAlmostEquals(got, want / 255, 1e-15);
  }
});

Deno.test("describeDataset() names the record whose label is of no class", () => {
  const dataset = countingDataset(10, 1);
  assertThrows(
    () => describeDataset({ ...dataset, test: countingSplit(11) }),
    ShapeError,
    '"counting.test.labels[10]": 10, expected a class of 0 to 9',
  );
});

Deno.test("describeDataset() keeps the deviation of a constant channel at 1/255", () => {
  const split = { pixels: new Uint8Array(8).fill(9), labels: Uint8Array.of(0, 1), count: 2 };
  const { std } = describeDataset({ ...countingDataset(2, 1), train: split });
  assertEquals(std, [1 / 255, 1 / 255]);
});

Deno.test("describeDataset() refuses pixels that do not fit the count", () => {
  const dataset = countingDataset(2, 1);
  assertThrows(
    () => describeDataset({ ...dataset, test: { ...dataset.test, count: 2 } }),
    ShapeError,
    '"counting.test.labels": 1 labels, expected 2',
  );
});

Deno.test("takeSplit() takes first rows as views and listed rows as copies", () => {
  const split = countingSplit(4);
  const first = takeSplit(split, 2);
  assertEquals([first.count, [...first.labels], first.pixels.length], [2, [0, 1], 8]);
  assertEquals(first.pixels.buffer, split.pixels.buffer);
  const listed = takeSplit(split, Uint32Array.of(3, 0, 3));
  assertEquals(
    { ...listed },
    {
      pixels: Uint8Array.of(12, 13, 14, 15, 0, 1, 2, 3, 12, 13, 14, 15),
      labels: Uint8Array.of(3, 0, 3),
      count: 3,
    },
  );
});

Deno.test("takeSplit() refuses no rows, too many and unknown ones", () => {
  for (const rows of [0, 5, 1.5, -1, NaN, Uint32Array.of(), Uint32Array.of(4)]) {
    assertThrows(() => takeSplit(countingSplit(4), rows), ShapeError, "expected 1 to 4 rows of 0 to 3");
  }
});

Deno.test("limitDataset() keeps first rows and the whole set's statistics", () => {
  const dataset = countingDataset(8, 4);
  const limited = limitDataset(dataset, { train: 3, test: 100 });
  assertEquals([limited.train.count, limited.test.count, limited.mean], [3, 4, dataset.mean]);
  assertEquals(limitDataset(dataset, {}), dataset);
  assertThrows(() => limitDataset(dataset, { test: 0 }), ShapeError, "0 rows");
});

Deno.test("splitCalibration() divides the rows, the same way for the same seed", () => {
  const split = countingSplit(50);
  const { train, calibration } = splitCalibration(split, { count: 20, seed: 7 });
  assertEquals([train.count, calibration.count], [30, 20]);
  assertEquals([...train.labels, ...calibration.labels].sort((a, b) => a - b), [...split.labels]);
  assertEquals(calibration.pixels[0], (calibration.labels[0] * 4) % 256);
  assertEquals(splitCalibration(split, { count: 20, seed: 7 }), { train, calibration });
  const other = splitCalibration(split, { count: 20, seed: 8 }).calibration;
  assertEquals(`${other.labels}` === `${calibration.labels}`, false);
});

Deno.test("splitCalibration() refuses to take nothing or everything", () => {
  for (const count of [0, 4, 1.5]) {
    assertThrows(() => splitCalibration(countingSplit(4), { count, seed: 1 }), ShapeError, "expected 1 to 3");
  }
});
