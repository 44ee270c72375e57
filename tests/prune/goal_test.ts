import { assertAlmostEquals, assertEquals } from "@std/assert";
import { computeCompactCost, computeCost, computeDenseCost } from "../../src/prune/cost.ts";
import { removedAt, scheduledCost, scheduledSparsity } from "../../src/prune/goal.ts";
import { summarizeModel } from "../../src/model/summary.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

Deno.test("scheduledSparsity() rises by 1 - (1 - t)^3 to exactly the goal", () => {
  assertEquals([1, 2, 3, 4].map((round) => scheduledSparsity(0.64, round, 4)), [
    0.64 * (1 - 0.75 ** 3),
    0.64 * (1 - 0.5 ** 3),
    0.64 * (1 - 0.25 ** 3),
    0.64,
  ]);
});

Deno.test("removedAt() takes the share rounded down, but not what f64 loses", () => {
  const cases: readonly [number, number, number][] = [
    [0.29, 100, 29],
    [0.57, 100, 57],
    [0.5, 7, 3],
    [0, 10, 0],
    [0.999, 10, 9],
    [0.1, 3, 0],
    [0.7, 544864, 381404],
  ];
  for (const [sparsity, prunable, removed] of cases) assertEquals(removedAt(sparsity, prunable), removed);
});

Deno.test("scheduledCost() falls to exactly the goal, and never rises", () => {
  for (const schedule of ["one-shot", "iterative", "gradual"] as const) {
    assertEquals(scheduledCost({ schedule, from: 80, to: 10 }, 3, 3), 10);
    assertEquals(scheduledCost({ schedule, from: 5, to: 10 }, 1, 3), 10);
  }
  assertAlmostEquals(scheduledCost({ schedule: "iterative", from: 80, to: 10 }, 1, 3), 40, 1e-12);
  assertAlmostEquals(scheduledCost({ schedule: "gradual", from: 80, to: 16 }, 1, 2), 80 - 64 * 7 / 8, 1e-12);
  assertEquals(scheduledCost({ schedule: "one-shot", from: 80, to: 10 }, 1, 3), 10);
});

/** Counts of the tiny network, 4 x 9, 5 x 36, 7 x 5 x 4 and 4 x 7 weights, of which some are removed. */
function countsOf(removed: Readonly<Record<string, number>>) {
  return layOutParameters(tinyGraph()).parameters.filter(({ prunable }) => prunable).map((
    { fullName, count, rows },
  ) => ({
    name: fullName,
    weights: count,
    kept: count - (removed[fullName] ?? 0),
    channels: rows,
    emptyChannels: 0,
  }));
}

Deno.test("computeCost() counts what kept weights cost", () => {
  const graph = tinyGraph(), whole = computeDenseCost(summarizeModel(graph));
  assertEquals(computeCost(graph, countsOf({})), whole);
  const conv2 = summarizeModel(graph).layers.find(({ name }) => name === "conv2")!;
  const pixels = conv2.output[1] * conv2.output[2], weights = 5 * 4 * 9;
  assertEquals(conv2.multiplyAdds, weights * pixels);
  const layers = countsOf({ "conv2.weight": 100, "fc2.weight": 1 });
  const parameters = whole.parameters - 101, multiplyAdds = whole.multiplyAdds - 100 * pixels - 1;
  assertEquals(computeCost(graph, layers), { parameters, multiplyAdds, bytes: whole.bytes });
  // A removed weight is worth four bytes, a bit a weight is paid where that is less: not for the one of fc2.
  const bytes = whole.bytes - 4 * 100 + Math.ceil(weights / 8);
  assertEquals(computeCost(graph, layers, { isSparse: true }), { parameters, multiplyAdds, bytes });
});

Deno.test("computeCompactCost() is the cost of the network without the channels that a mask empties", () => {
  const graph = tinyGraph(), { parameters, quads } = layOutParameters(graph);
  const mask = new Float32Array(4 * quads).fill(1);
  assertEquals(computeCompactCost(graph, mask), computeDenseCost(summarizeModel(graph)));
  const conv1 = parameters.find(({ fullName }) => fullName === "conv1.weight")!;
  const bias = parameters.find(({ fullName }) => fullName === "conv1.bias")!;
  mask.fill(0, 4 * (conv1.offset + 2 * conv1.rowQuads), 4 * (conv1.offset + 3 * conv1.rowQuads));
  mask[4 * bias.offset + 2] = 0;
  const smaller = summarizeModel(tinyGraph({ conv1: 3, conv2: 5, fc1: 7 }));
  assertEquals(computeCompactCost(graph, mask), computeDenseCost(smaller));
});
