import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { resolveGraph } from "../../src/model/graph.ts";
import { initialValues } from "../../src/model/initialize.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { shapeText } from "../../src/shape.ts";

Deno.test("seedNetwork() has 545,098 parameters on 3 x 32 x 32 and 10 classes", () => {
  const graph = seedNetwork({ channels: 3, height: 32, width: 32, classes: 10 });
  const { parameters, count, prunableCount, statisticsQuads } = layOutParameters(graph);
  assertEquals(parameters.map(({ fullName, shape }) => [fullName, ...shape]), [
    ["conv1.weight", 32, 3, 3, 3],
    ["conv1.bias", 32],
    ["conv2.weight", 64, 32, 3, 3],
    ["conv2.bias", 64],
    ["fc1.weight", 128, 4096],
    ["fc1.bias", 128],
    ["fc2.weight", 10, 128],
    ["fc2.bias", 10],
  ]);
  assertEquals([count, prunableCount, statisticsQuads], [545098, 545098 - 32 - 64 - 128 - 10, 0]);
});

Deno.test("seedNetwork() takes its sizes from the data", () => {
  const graph = seedNetwork({ channels: 1, height: 28, width: 28, classes: 7 }, {
    conv1: 2,
    conv2: 3,
    fc1: 5,
  });
  assertEquals(resolveGraph(graph).map(({ output }) => shapeText(output)), [
    ...["2 x 28 x 28", "2 x 28 x 28", "2 x 14 x 14", "3 x 14 x 14", "3 x 14 x 14", "3 x 7 x 7"],
    ...["147", "5", "5", "7"],
  ]);
});

Deno.test("initialValues() gives the same values for a seed and name, and others for others", () => {
  const spec = {
    name: "weight",
    role: "weight",
    rows: 4,
    taps: 9,
    channels: 3,
    shape: [4, 3, 3, 3],
  } as const;
  const draw = (seed: number, name: string) =>
    initialValues({ ...spec, initial: { bound: 0.25 } }, { seed, name });
  assertEquals(draw(1, "a"), draw(1, "a"));
  assertNotEquals(draw(1, "a"), draw(2, "a"));
  assertNotEquals(draw(1, "a"), draw(1, "b"));
});

Deno.test("initialValues() fills the bound evenly, or takes the constant", () => {
  const spec = {
    name: "weight",
    role: "weight",
    rows: 100,
    taps: 9,
    channels: 100,
    shape: [100, 100, 3, 3],
  } as const;
  const values = initialValues({ ...spec, initial: { bound: 1 / 30 } }, { seed: 3, name: "a" });
  assertEquals(values.length, 90000);
  let sum = 0, squares = 0;
  for (const value of values) {
    assert(Math.abs(value) <= Math.fround(1 / 30), `${value}`);
    sum += value;
    squares += value * value;
  }
  // Six standard deviations of the mean, b / sqrt(3 n), and of the mean square, b^2 sqrt(4 / 45 n).
  assert(Math.abs(sum / 90000) < 6 / 30 / Math.sqrt(3 * 90000));
  assert(Math.abs(squares / 90000 - 1 / 2700) < 6 / 900 * Math.sqrt(4 / 45 / 90000));
  assertEquals([...initialValues({ ...spec, rows: 1, taps: 1, channels: 3, initial: { constant: 1 } }, {
    seed: 0,
    name: "a",
  })], [1, 1, 1]);
});
