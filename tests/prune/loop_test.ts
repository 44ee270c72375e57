import { assertEquals } from "@std/assert";
import { type PruneGoal, pruneUntilStable, removedAt, scheduledSparsity } from "../../src/prune/loop.ts";

/** Runs the loop on made-up steps: `below` gives how many kept weights lie below the threshold in each round. */
async function run(goal: PruneGoal, { rounds, prunable = 1000, removed = 0, below = [] }: {
  readonly rounds: number;
  readonly prunable?: number;
  readonly removed?: number;
  readonly below?: readonly number[];
}) {
  const log: string[] = [];
  let asked = 0, accuracy = 1;
  const steps = {
    score: () => Promise.resolve(void log.push("score")),
    countBelow(threshold: number) {
      log.push(`below ${threshold}`);
      return Promise.resolve(below[asked++]);
    },
    remove(count: number) {
      log.push(`remove ${count}`);
      const kept = prunable - count;
      return Promise.resolve([{ name: "w", weights: prunable, kept, channels: 1, emptyChannels: 0 }]);
    },
    finetune: (round: number) => Promise.resolve(void log.push(`finetune ${round}`)),
    evaluate: () => Promise.resolve(accuracy -= 1 / 64),
  };
  const outcome = await pruneUntilStable(steps, { goal, prunable, rounds, removed });
  return { outcome, log, removals: log.filter((line) => line.startsWith("remove")) };
}

Deno.test("pruneUntilStable() scores, removes, evaluates, trains and evaluates in each round", async () => {
  const { outcome, log } = await run({ sparsity: 0.5 }, { rounds: 2 });
  assertEquals(log, ["score", "remove 437", "finetune 1", "score", "remove 500", "finetune 2"]);
  assertEquals(outcome, {
    rounds: [
      { round: 1, removed: 437, sparsity: 0.437, accuracyPruned: 63 / 64, accuracyFinetuned: 62 / 64 },
      { round: 2, removed: 500, sparsity: 0.5, accuracyPruned: 61 / 64, accuracyFinetuned: 60 / 64 },
    ],
    layers: [{ name: "w", weights: 1000, kept: 500, channels: 1, emptyChannels: 0 }],
    removed: 500,
    end: "asked sparsity",
  });
});

Deno.test("pruneUntilStable() reaches the asked sparsity in the last round, however many there are", async () => {
  for (const rounds of [1, 2, 3, 10]) {
    const { outcome, removals } = await run({ sparsity: 0.9 }, { rounds, prunable: 999 });
    assertEquals([removals.length, outcome.removed], [rounds, 899]);
  }
  assertEquals((await run({ sparsity: 0 }, { rounds: 2 })).removals, ["remove 0", "remove 0"]);
});

Deno.test("pruneUntilStable() ends where two rounds in a row change nothing", async () => {
  const once = await run({ threshold: 2 }, { rounds: 9, below: [100, 0, 50, 0, 0, 7] });
  assertEquals(once.removals.map((line) => line.slice(7)), ["100", "100", "150", "150", "150"]);
  assertEquals(once.outcome.end, "fixed point");
  assertEquals(once.log.filter((line) => line === "below 2").length, 5);
  // Less than a thousandth of what is left is nothing: 0.84 of 850 is quiet, 1 of 850 is not.
  const small = await run({ threshold: 2 }, { rounds: 4, prunable: 100_000, below: [15_000, 84, 84, 84] });
  assertEquals([small.outcome.rounds.length, small.outcome.end], [3, "fixed point"]);
  const large = await run({ threshold: 2 }, { rounds: 4, prunable: 100_000, below: [15_000, 85, 85, 85] });
  assertEquals([large.outcome.rounds.length, large.outcome.end], [4, "rounds"]);
});

Deno.test("pruneUntilStable() ends where the rounds are used up", async () => {
  const { outcome } = await run({ threshold: 2 }, { rounds: 3, below: [10, 10, 10] });
  assertEquals([outcome.removed, outcome.end], [30, "rounds"]);
});

Deno.test("pruneUntilStable() removes at most a fifth of what is left in a round of a threshold", async () => {
  const { removals } = await run({ threshold: 2 }, { rounds: 3, below: [999, 799, 160] });
  assertEquals(removals, ["remove 200", "remove 360", "remove 488"]);
});

Deno.test("pruneUntilStable() goes on from what was removed before", async () => {
  const threshold = await run({ threshold: 2 }, { rounds: 2, removed: 500, below: [40, 400] });
  assertEquals(threshold.removals, ["remove 540", "remove 632"]);
  const more = await run({ sparsity: 0.9 }, { rounds: 3, removed: 700 });
  assertEquals(more.removals, ["remove 700", "remove 866", "remove 900"]);
  const less = await run({ sparsity: 0.5 }, { rounds: 2, removed: 700 });
  assertEquals([less.removals.at(-1), less.outcome.removed], ["remove 700", 700]);
});

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
