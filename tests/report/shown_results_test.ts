/** Tests of which results of a comparison are shown. */
import { assertEquals } from "@std/assert";
import type { CompareReport } from "../../src/report/compare_report.ts";
import { chooseShown, findNewSeeds } from "../../src/report/shown_results.ts";
import { configOf } from "../helpers/config.ts";

type Result = readonly [variant: string, sparsity: number, seed: number];

/** A comparison with a result for each variant, sparsity and seed. */
function reportOf(...cells: readonly Result[]) {
  const seeds = [...new Set(cells.map(([, , seed]) => seed))];
  const report: CompareReport = {
    ...{ version: 3, versions: {}, adapter: "an adapter", model: "seed", config: configOf() },
    dataset: { name: "tiny", source: "a test", train: 96, test: 40 },
    trained: seeds.map((seed) => ({ seed, accuracy: 0.5 })),
    cells: cells.map(([variant, sparsity, seed]) => ({ variant, sparsity, seed, removed: 0, accuracy: 0.5 })),
  };
  return report;
}

Deno.test("chooseShown() shows what was asked for of what is there, and all of a list that was added to", () => {
  const before = reportOf(["a", 0.5, 0], ["a", 0.9, 0], ["b", 0.5, 0], ["a", 0.5, 1]);
  const shownOf = (
    { variants = ["a", "b"], sparsities = [0.5, 0.9], seeds = [0, 1] }: {
      variants?: string[];
      sparsities?: number[];
      seeds?: number[];
    },
    ...added: readonly Result[]
  ) => {
    const all = [
      ...before.cells.map(({ variant, sparsity, seed }) => [variant, sparsity, seed] as const),
      ...added,
    ];
    const { cells, trained } = chooseShown(reportOf(...all), { variants, sparsities, seeds }, before);
    return [
      cells.map(({ variant, sparsity, seed }) => `${variant} ${sparsity} ${seed}`).join(", "),
      trained.map(({ seed }) => seed),
    ];
  };
  assertEquals(shownOf({}), ["a 0.5 0, a 0.9 0, b 0.5 0, a 0.5 1", [0, 1]]);
  assertEquals(shownOf({ seeds: [0] }), ["a 0.5 0, a 0.9 0, b 0.5 0", [0]]);
  assertEquals(shownOf({ variants: ["b"] }), ["b 0.5 0", [0]], "no network without a result");
  const grown = shownOf({ variants: ["a"], sparsities: [0.5], seeds: [3] }, ["a", 0.5, 3]);
  assertEquals(grown, ["a 0.5 0, a 0.5 1, a 0.5 3", [0, 1, 3]]);
  assertEquals(shownOf({ variants: ["c"], seeds: [1] }, ["c", 0.5, 1]), ["a 0.5 1, c 0.5 1", [1]]);
  assertEquals(shownOf({ sparsities: [0.7], variants: ["b"] }, ["b", 0.7, 0]), ["b 0.5 0, b 0.7 0", [0]]);
  const asked = { variants: ["a"], sparsities: [0.5], seeds: [0, 1] };
  assertEquals(chooseShown(before, asked).cells.length, 2, "nothing was there before");
});

Deno.test("findNewSeeds() gives the smallest seeds that are not there", () => {
  const findOf = (...seeds: readonly number[]) =>
    findNewSeeds({ trained: seeds.map((seed) => ({ seed, accuracy: 0.5 })) });
  assertEquals([findOf(0, 1, 2), findOf(3, 1), findOf(2 ** 32 - 1)], [[3, 4], [0, 2], [0, 1]]);
});
