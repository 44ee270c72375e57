/**
 * The seed network's plans as text, so that a refactor shows that it emits the same dispatches. After a change that is
 * meant: `deno run --allow-read --allow-write tests/plan/plan_golden_test.ts` writes golden/ anew, and git shows how
 * the plans changed.
 */
import { assertEquals } from "@std/assert";
import type { ProductChooser } from "../../src/kernels/product.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { lowerPlan } from "../../src/plan/lower.ts";
import { sgd } from "../../src/plan/optimizer.ts";
import { describePlan } from "../../src/plan/plan.ts";

/** A fixed choice, so that the text says nothing of how cores are chosen. */
const choose: ProductChooser = ({ splittable, segments }) => ({
  core: "gemm/software/register_8x8",
  splits: splittable ? Math.min(4, segments) : 1,
});

const graph = seedNetwork({ channels: 3, height: 32, width: 32, classes: 10 });
const options = { choose, images: { augmentation: "flip" } } as const;
const plans = {
  train: () => lowerPlan(graph, { ...options, mode: "train", batch: 64, optimizer: sgd(), averages: true }),
  evaluate: () => lowerPlan(graph, { ...options, mode: "evaluate", batch: 256 }),
  score: () => lowerPlan(graph, { ...options, mode: "score", batch: 16 }),
};

const fileOf = (name: string) => new URL(`golden/seed_${name}.txt`, import.meta.url);

for (const [name, lower] of Object.entries(plans)) {
  Deno.test(`describePlan() prints the seed network's plan to ${name} as golden/seed_${name}.txt`, async () => {
    assertEquals(describePlan(lower()), await Deno.readTextFile(fileOf(name)));
  });
}

if (import.meta.main) {
  for (const [name, lower] of Object.entries(plans)) {
    await Deno.writeTextFile(fileOf(name), describePlan(lower()));
  }
}
