import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describeWarnings, isAtChance, type PrunedOutcome, thinLayers } from "../../src/report/warnings.ts";

const layer = (name: string, kept: number, emptyChannels = 0) => ({
  ...{ name: `${name}.weight`, weights: 200, kept, channels: 40, emptyChannels },
});

const round = {
  ...{ round: 1, removed: 40, sparsity: 0.4, outflow: 40, inflow: 0 },
  ...{ accuracyPruned: 0.5, accuracyFinetuned: 0.75, isUndone: false },
};

const outcome: PrunedOutcome = {
  granularity: "element",
  layers: [layer("conv1", 100)],
  removedLayers: [],
  rounds: [round],
  accuracy: { trained: 0.8, finetuned: 0.75 },
  classes: 10,
  examples: 900,
};

Deno.test("describeWarnings() says nothing where nothing is wrong", () => {
  assertEquals(describeWarnings(outcome), []);
  // 5 % is not under 5 %, and what compaction took out it names.
  assertEquals(describeWarnings({ ...outcome, layers: [layer("conv1", 10)] }), []);
  assertEquals(
    describeWarnings({ ...outcome, layers: [layer("conv1", 0, 40)], removedLayers: ["conv1"] }),
    [],
  );
});

Deno.test("describeWarnings() says that no round removed anything", () => {
  const idle = { ...round, outflow: 0 };
  assertEquals(describeWarnings({ ...outcome, rounds: [idle, { ...idle, round: 2 }] }), [
    "no weight was removed: 40.0 % of them were removed before, and the goal asks for no more",
  ]);
  assertEquals(describeWarnings({ ...outcome, rounds: [round, { ...idle, round: 2 }] }), []);
});

Deno.test("describeWarnings() names layers of which nothing is left", () => {
  const layers = [layer("conv1", 0, 40), layer("block1.conv2", 0, 40), layer("fc", 100)];
  const says = (names: string, so: string) =>
    `nothing is left of ${names}, so ${so} on the images; a --floor above 0 keeps some of each layer`;
  assertEquals(describeWarnings({ ...outcome, layers }), [
    says("conv1, block1.conv2", "their outputs no longer depend"),
  ]);
  assertEquals(describeWarnings({ ...outcome, layers, removedLayers: ["block1.conv2"] }), [
    says("conv1", "its output no longer depends"),
  ]);
});

Deno.test("thinLayers() counts weights, filters or channels, by what goes as one", () => {
  // conv1 keeps 4.5 % of its weights in 3 of 40 channels, conv2 half of its weights in one of 40.
  const layers = [layer("conv1", 9, 37), layer("conv2", 100, 39), layer("fc", 0, 40)];
  for (const granularity of ["element", { rows: 2, channels: 2 }] as const) {
    assertEquals(thinLayers(layers, granularity), [{ name: "conv1", kept: 9, of: 200 }]);
  }
  for (const granularity of ["filter", "channel"] as const) {
    assertEquals(thinLayers(layers, granularity), [{ name: "conv2", kept: 1, of: 40 }]);
    const [, thin] = describeWarnings({ ...outcome, granularity, layers });
    assertStringIncludes(thin, `under 5 % of the ${granularity}s of a layer are left: conv2 1 of 40`);
  }
});

Deno.test("isAtChance() is true within a standard error of guessing, or below", () => {
  // The standard error of a tenth is a hundredth for 900 examples.
  const test = { classes: 10, examples: 900 };
  assertEquals([0.05, 0.1, 0.1099, 0.1101, 0.5].map((accuracy) => isAtChance(accuracy, test)), [
    ...[true, true, true, false, false],
  ]);
  assert(isAtChance(0.25 + 0.12, { classes: 4, examples: 12 }));
  assert(!isAtChance(1, { classes: 1, examples: 12 }));
  assert(!isAtChance(0, { classes: 10, examples: 0 }));
});

Deno.test("describeWarnings() says when accuracy is at chance: before, after, or on the way", () => {
  const warn = (more: Partial<PrunedOutcome>) => describeWarnings({ ...outcome, ...more });
  assertEquals(warn({ accuracy: { trained: 0.1, finetuned: 0.1 } }), [
    "accuracy before pruning is no better than chance: 10.0 % on 900 test examples of 10 classes",
  ]);
  const [after] = warn({ accuracy: { trained: 0.8, finetuned: 0.1 } });
  assertStringIncludes(after, "accuracy after pruning is no better than chance: 10.0 % on 900 test examples");
  const lost = { ...round, round: 2, accuracyPruned: 0.09 };
  const [way] = warn({ rounds: [round, lost] });
  assertStringIncludes(way, "right after the removal of round 2 is no better than chance: 9.0 %");
  assertStringIncludes(way, "brought it to 75.0 %");
  assertEquals(warn({ rounds: [round, { ...lost, isUndone: true }] }), []);
});
