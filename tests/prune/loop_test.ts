import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../src/errors.ts";
import type { PruneGoal, PruneSchedule } from "../../src/prune/goal.ts";
import {
  type LoopProgress,
  nextAmount,
  type PruneLoopOptions,
  type PruneTarget,
  pruneUntilStable,
} from "../../src/prune/loop.ts";
import { weightsBelow } from "../../src/prune/recipe.ts";
import { tooMany } from "../../src/prune/select/removal.ts";

/**
 * Runs the loop on a made-up network of equal weights: `below` gives how many kept weights lie below the threshold in
 * each round, `back` how many come back, `valid` the validation accuracy whenever it is asked for, `losses` the validation
 * losses, each with a standard error of 0.1, `most` how many weights may go.
 */
async function run(
  goal: PruneGoal,
  {
    prunable = 1000,
    removed: removedBefore = 0,
    below = [],
    back = [],
    valid = [],
    losses = [],
    max = prunable,
    ...options
  }:
    & Omit<PruneLoopOptions, "goal">
    & {
      readonly prunable?: number;
      readonly removed?: number;
      readonly below?: readonly number[];
      readonly back?: readonly number[];
      readonly valid?: readonly number[];
      readonly losses?: readonly number[];
      readonly max?: number;
    },
) {
  const log: string[] = [], finals: boolean[] = [];
  let asked = 0, grown = 0, validated = 0, accuracy = 1, removed = removedBefore;
  const saved = new Map<number, number>();
  const count = () => {
    const kept = prunable - removed;
    return Promise.resolve([{ name: "w", weights: prunable, kept, channels: 1, emptyChannels: 0 }]);
  };
  const note = (line: string) => Promise.resolve(void log.push(line));
  // A kept weight costs ten.
  const stateOf = async () => ({
    layers: await count(),
    ...("cost" in goal ? { cost: 10 * (prunable - removed) } : {}),
  });
  const removeTo = (next: number) => {
    if (next > max) throw tooMany(next, max, "a test");
    removed = Math.max(removed, next);
  };
  const target: PruneTarget = {
    start: stateOf,
    async remove(amount, isFinal) {
      finals.push(isFinal);
      let regrown = 0, found: number | undefined;
      if (amount === "nothing") await note("nothing");
      else if ("weights" in amount) {
        await note(`remove ${amount.weights}`);
        removeTo(amount.weights);
      } else if ("cost" in amount) {
        await note(`reach ${amount.cost} ${Math.round(amount.max)}`);
        removeTo(prunable - Math.floor(amount.max / 10));
      } else if ("pattern" in amount) {
        const { keep, of } = amount.pattern;
        await note(`pattern ${keep}:${of}`);
        removed = prunable * (1 - keep / of);
      } else {
        if (amount.regrowAbove !== undefined) {
          await note(`regrow ${amount.regrowAbove}`);
          regrown = back[grown++] ?? 0;
          removed -= regrown;
        }
        await note(`below ${amount.threshold}`);
        found = below[asked++];
        const next = weightsBelow({ ...amount, removed }, found);
        await note(`remove ${next}`);
        removeTo(next);
      }
      return { ...await stateOf(), regrown, ...(found === undefined ? {} : { below: found }) };
    },
    finetune: (round: number) => note(`finetune ${round}`),
    evaluate: () => Promise.resolve(accuracy -= 1 / 64),
    validate: () =>
      Promise.resolve({
        accuracy: valid[validated] ?? 0.5,
        accuracyError: 0.05,
        loss: losses[validated++] ?? 1,
        lossError: 0.1,
      }),
    async save(round: number) {
      await note(`save ${round}`);
      assert(!saved.has(round), `round ${round} is saved twice`);
      saved.set(round, removed);
    },
    async restore(round: number) {
      await note(`restore ${round}`);
      removed = saved.get(round)!;
    },
    forget: (round: number) => void assert(saved.delete(round), `round ${round} was not saved`),
  };
  const outcome = await pruneUntilStable(target, { goal, ...options });
  const linesOf = (word: string) => log.filter((line) => line.startsWith(word));
  return { outcome, log, removals: linesOf("remove"), linesOf, finals, saved: [...saved.keys()] };
}

Deno.test("pruneUntilStable() says which removal is the last, and that all are where each decides", async () => {
  const goal = { sparsity: 0.5 };
  assertEquals((await run(goal, { rounds: 3 })).finals, [false, false, true]);
  assertEquals((await run(goal, { rounds: 2, allowedDrop: 1 })).finals, [true, true]);
  assertEquals((await run({ threshold: 1 }, { rounds: 2, below: [9, 9] })).finals, [true, true]);
});

Deno.test("pruneUntilStable() removes, evaluates, trains and evaluates in each round", async () => {
  const { outcome, log } = await run({ sparsity: 0.5 }, { rounds: 2 });
  assertEquals(log, ["remove 437", "finetune 1", "remove 500", "finetune 2"]);
  assertEquals(outcome, {
    rounds: [
      {
        round: 1,
        removed: 437,
        sparsity: 0.437,
        outflow: 437,
        inflow: 0,
        accuracyPruned: 63 / 64,
        accuracyFinetuned: 62 / 64,
        isUndone: false,
      },
      {
        round: 2,
        removed: 500,
        sparsity: 0.5,
        outflow: 63,
        inflow: 0,
        accuracyPruned: 61 / 64,
        accuracyFinetuned: 60 / 64,
        isUndone: false,
      },
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

Deno.test("pruneUntilStable() takes as many rounds as it needs where they are not limited", async () => {
  const below = [...Array(60).fill(100), 50, 50];
  const { outcome } = await run({ threshold: 2 }, { rounds: Infinity, prunable: 60_000, below });
  assertEquals([outcome.rounds.length, outcome.removed, outcome.end], [62, 6100, "fixed point"]);
  assertEquals(outcome.rounds[1].below, 100);
  assertEquals(outcome.rounds[1].above, 59_800);
});

Deno.test("pruneUntilStable() ends where no weight is left", async () => {
  const { outcome } = await run({ threshold: 2 }, { rounds: Infinity, prunable: 3, below: [3, 2, 1, 0, 0] });
  assertEquals([outcome.removed, outcome.end, outcome.rounds.length], [3, "fixed point", 5]);
});

Deno.test("pruneUntilStable() keeps the sparsest network within a standard error of the lowest loss", async () => {
  const { outcome, log, saved } = await run({ threshold: 2 }, {
    rounds: Infinity,
    choosesRound: true,
    below: Array(9).fill(10),
    // The lowest is 0.8 of round 2, so that 0.9 of round 4 is good and 0.95 of round 3 is not.
    losses: [1, 0.85, 0.8, 0.95, 0.9, 0.91, 1, 2],
    // Within 0.05 of the highest up to round 4.
    valid: [0.6, 0.6, 0.6, 0.55, 0.55, 0.54, 0.5, 0.4],
  });
  assertEquals([outcome.end, outcome.chosenRound, outcome.removed], ["validation", 4, 40]);
  assertEquals([outcome.rounds.length, outcome.layers[0].kept], [7, 960]);
  assertEquals(log.at(-1), "restore 4");
  assertEquals(outcome.rounds.map(({ lossValidation }) => lossValidation), [
    0.85,
    0.8,
    0.95,
    0.9,
    0.91,
    1,
    2,
  ]);
  assertEquals(outcome.rounds.map(({ lossErrorValidation }) => lossErrorValidation), Array(7).fill(0.1));
  // Of a sparser network of a lower loss, less sparse ones are not kept.
  assertEquals(saved, [2, 4]);
});

Deno.test("pruneUntilStable() goes on while the loss alone is too high, and takes a sparser network that is good again", async () => {
  const { outcome } = await run({ threshold: 2 }, {
    ...{ rounds: 6, choosesRound: true, below: Array(6).fill(10) },
    losses: [1, 1.2, 1.3, 1.3, 1.2, 1.05, 1.2],
    valid: [0.6, 0.58, 0.58, 0.58, 0.58, 0.58, 0.5],
  });
  assertEquals([outcome.end, outcome.chosenRound, outcome.removed], ["rounds", 5, 50]);
});

Deno.test("pruneUntilStable() keeps the network as it was where every round costs too much, or the last", async () => {
  const bad = await run({ threshold: 2 }, {
    ...{ rounds: Infinity, choosesRound: true, below: [10, 10, 10], losses: [1, 2, 2, 2] },
    valid: [0.6, 0.5, 0.5, 0.5],
  });
  assertEquals([bad.outcome.end, bad.outcome.chosenRound, bad.outcome.removed], ["validation", 0, 0]);
  assertEquals(bad.log.at(-1), "restore 0");
  const good = await run({ threshold: 2 }, {
    ...{ rounds: 2, choosesRound: true, below: [10, 10], losses: [1, 1, 1] },
  });
  assertEquals([good.outcome.end, good.outcome.chosenRound, good.outcome.removed], ["rounds", 2, 20]);
  assertEquals(good.linesOf("restore"), []);
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

Deno.test("pruneUntilStable() takes an equal share of what is left in each iterative round, or all at once", async () => {
  const removals = async (schedule: PruneSchedule, rounds: number) =>
    (await run({ sparsity: 0.875 }, { schedule, rounds })).removals.map((line) => Number(line.slice(7)));
  assertEquals(await removals("iterative", 3), [500, 750, 875]);
  assertEquals(await removals("one-shot", 1), [875]);
  const later = await run({ sparsity: 0.875 }, { schedule: "iterative", rounds: 2, removed: 500 });
  assertEquals(later.removals, ["remove 750", "remove 875"]);
});

Deno.test("pruneUntilStable() names the goal and the round where less may go, not where the round was to lead", async () => {
  const refuse = async (goal: PruneGoal, max: number, message: string) =>
    void await assertRejects(() => run(goal, { rounds: 2, max }), ConfigError, message);
  const current = (max: number, round: number) =>
    `only ${max} may be removed by a test, in round ${round} of 2`;
  await refuse({ sparsity: 0.5 }, 300, `Cannot prune to "sparsity 0.5": ${current(300, 1)}, expected fewer`);
  await refuse({ sparsity: 0.5 }, 450, `Cannot prune to "sparsity 0.5": ${current(450, 2)}, expected fewer`);
  const goal = { cost: "parameters", max: 5000.5 } as const;
  await refuse(goal, 300, `Cannot prune to "parameters 5000": ${current(300, 1)}, expected fewer`);
});

Deno.test("pruneUntilStable() brings a cost down by the schedule, from where it is", async () => {
  const goal = { cost: "multiplyAdds", max: 2500 } as const;
  const iterative = await run(goal, { schedule: "iterative", rounds: 2 });
  assertEquals(iterative.linesOf("reach"), ["reach multiplyAdds 5000", "reach multiplyAdds 2500"]);
  assertEquals([iterative.outcome.removed, iterative.outcome.end], [750, "asked size"]);
  const gradual = await run(goal, { rounds: 2 });
  // 10,000 less 7/8 of the 7,500 on the way.
  assertEquals(gradual.linesOf("reach"), ["reach multiplyAdds 3438", "reach multiplyAdds 2500"]);
  const there = await run({ ...goal, max: 20_000 }, { rounds: 1 });
  assertEquals([there.log, there.outcome.end], [["nothing", "finetune 1"], "asked size"]);
});

Deno.test("pruneUntilStable() removes by a pattern once", async () => {
  const { outcome, log } = await run({ pattern: { keep: 2, of: 4 } }, { rounds: 1 });
  assertEquals(log, ["pattern 2:4", "finetune 1"]);
  assertEquals([outcome.removed, outcome.end], [500, "asked pattern"]);
});

Deno.test("pruneUntilStable() lets removed weights come back, and ends where neither flow moves anything", async () => {
  const goal = { threshold: 2, regrowAbove: 3 };
  const { outcome, log } = await run(goal, {
    rounds: 9,
    below: [100, 40, 0, 0, 0],
    // The third round only brings weights back, so it is not quiet.
    back: [0, 30, 20, 0, 0],
  });
  assertEquals(log.slice(0, 4), ["regrow 3", "below 2", "remove 100", "finetune 1"]);
  const flows = outcome.rounds.map(({ outflow, inflow, removed }) => [outflow, inflow, removed]);
  assertEquals(flows, [[100, 0, 100], [40, 30, 110], [0, 20, 90], [0, 0, 90], [0, 0, 90]]);
  assertEquals([outcome.end, outcome.removed], ["fixed point", 90]);
  const without = await run({ threshold: 2 }, { rounds: 2, below: [0, 0] });
  assertEquals(without.linesOf("regrow"), []);
});

Deno.test("pruneUntilStable() undoes a round that costs too much, and tries half its step from there", async () => {
  const { outcome, log } = await run({ sparsity: 0.8 }, {
    schedule: "iterative",
    rounds: 2,
    allowedDrop: 0.05,
    // Before, then after each round: the first is too low by a little, the others are just good enough.
    valid: [0.9, 0.84, 0.86, 0.85 + 1e-9],
  });
  // The survivors' root, 448, stay after round one: 552 go, then 276, and from there half of the way to 800.
  assertEquals(log, [
    "save 0",
    "remove 552",
    "finetune 1",
    "restore 0",
    "save 1",
    "remove 276",
    "finetune 2",
    "save 2",
    "remove 538",
    "finetune 3",
  ]);
  assertEquals(outcome.rounds.map(({ isUndone }) => isUndone), [true, false, false]);
  assertEquals(outcome.rounds.map(({ accuracyValidation }) => accuracyValidation), [0.84, 0.86, 0.85 + 1e-9]);
  assertEquals([outcome.removed, outcome.layers[0].kept, outcome.end], [538, 462, "allowed drop"]);
});

Deno.test("pruneUntilStable() ends where a quarter of a step costs too much, as it was before", async () => {
  const valid = [0.9, 0.1, 0.2, 0.3];
  const { outcome, removals } = await run({ sparsity: 0.8 }, {
    schedule: "one-shot",
    rounds: 1,
    allowedDrop: 0,
    valid,
  });
  assertEquals(removals, ["remove 800", "remove 400", "remove 200"]);
  assertEquals([outcome.removed, outcome.rounds.length, outcome.end], [0, 3, "allowed drop"]);
  const pattern = await run({ pattern: { keep: 1, of: 4 } }, { rounds: 1, allowedDrop: 0, valid });
  assertEquals([pattern.outcome.rounds.length, pattern.outcome.removed], [1, 0]);
  const cost = await run({ cost: "parameters", max: 2000 }, { rounds: 1, allowedDrop: 0.65, valid });
  assertEquals(cost.linesOf("reach"), [
    "reach parameters 2000",
    "reach parameters 6000",
    "reach parameters 8000",
  ]);
  assertEquals(cost.outcome.end, "allowed drop");
});

Deno.test("pruneUntilStable() counts no round that was undone", async () => {
  const { outcome } = await run({ threshold: 2 }, {
    rounds: 2,
    below: [200, 200, 100],
    allowedDrop: 0.1,
    valid: [0.9, 0.5, 0.9, 0.9],
  });
  assertEquals(outcome.rounds.map(({ outflow, isUndone }) => [outflow, isUndone]), [
    [200, true],
    [100, false],
    [50, false],
  ]);
  assertEquals([outcome.removed, outcome.end], [150, "rounds"]);
});

Deno.test("nextAmount() says what the next round removes, by how far the loop is", () => {
  const stateOf = (removed: number, cost?: number) => ({
    layers: [{ name: "w", weights: 1000, kept: 1000 - removed, channels: 1, emptyChannels: 0 }],
    cost,
  });
  const start = { prunable: 1000, first: stateOf(0, 100), done: 0, part: 1 };
  const at = (goal: PruneGoal, more: Partial<LoopProgress> = {}) =>
    nextAmount({ goal, schedule: "iterative", rounds: 2 }, { ...start, now: stateOf(0, 100), ...more });
  assertEquals(at({ sparsity: 0.75 }), { weights: 500 });
  assertEquals(at({ sparsity: 0.75 }, { part: 1 / 2 }), { weights: 250 });
  assertEquals(at({ sparsity: 0.75 }, { done: 1, now: stateOf(500) }), { weights: 750 });
  const goal = { cost: "bytes", max: 25, isSparse: true } as const;
  assertEquals(at(goal), { ...goal, max: 50 });
  assertEquals(at(goal, { part: 1 / 2 }), { ...goal, max: 75 });
  assertEquals(at(goal, { done: 1, now: stateOf(0, 25) }), "nothing");
  assertEquals(at({ pattern: { keep: 2, of: 4 } }), { pattern: { keep: 2, of: 4 } });
  assertEquals(at({ threshold: 2, regrowAbove: 3 }, { now: stateOf(500), part: 1 / 4 }), {
    ...{ threshold: 2, regrowAbove: 3 },
    ...{ removed: 500, max: 100, share: 1 / 4 },
  });
});
