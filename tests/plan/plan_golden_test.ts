/**
 * Plans of the seed network and of residual blocks as text, so that a refactor shows that it emits the same dispatches. After a change that is
 * meant: `deno run --allow-read --allow-write tests/plan/plan_golden_test.ts` writes golden/ anew, and git shows how
 * the plans changed.
 */
import { assertEquals } from "@std/assert";
import type { ProductChooser } from "../../src/kernels/product.ts";
import { parseGraph } from "../../src/model/graph.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { lowerPlan } from "../../src/plan/lower.ts";
import { sgd } from "../../src/plan/optimizer.ts";
import { describePlan } from "../../src/plan/plan.ts";

/** A fixed choice, so that the text says nothing of how cores are chosen. */
const choose: ProductChooser = ({ splittable, segments }) => ({
  core: "gemm/software/register_8x8",
  splits: splittable ? Math.min(4, segments) : 1,
});

const seed = seedNetwork({ channels: 3, height: 32, width: 32, classes: 10 });

/** The convolutions of a residual block. */
function branch(block: string, from: string, stride: number, outChannels: number): readonly object[] {
  const conv = { kind: "conv2d", kernel: 3, padding: 1, bias: false, outChannels };
  return [
    { ...conv, name: `${block}.conv1`, inputs: [from], stride },
    { kind: "batchnorm2d", name: `${block}.bn1` },
    { kind: "relu", name: `${block}.relu1` },
    { ...conv, name: `${block}.conv2` },
    { kind: "batchnorm2d", name: `${block}.bn2` },
  ];
}

/** A block with an identity, one with a padded shortcut that is ready first, and one whose shortcut comes last. */
const blocks = parseGraph({
  name: "blocks",
  input: { channels: 3, height: 16, width: 16 },
  layers: [
    { kind: "conv2d", name: "conv1", outChannels: 8, kernel: 3, padding: 1, bias: false },
    { kind: "batchnorm2d", name: "bn1" },
    { kind: "relu", name: "relu1" },
    ...branch("block1", "relu1", 1, 8),
    { kind: "add", name: "block1.add", inputs: ["block1.bn2", "relu1"] },
    { kind: "relu", name: "block1.relu2" },
    { kind: "subsample", name: "block2.shortcut", outChannels: 16, stride: 2 },
    ...branch("block2", "block1.relu2", 2, 16),
    { kind: "add", name: "block2.add", inputs: ["block2.bn2", "block2.shortcut"] },
    { kind: "relu", name: "block2.relu2" },
    ...branch("block3", "block2.relu2", 2, 24),
    { kind: "subsample", name: "block3.shortcut", inputs: ["block2.relu2"], outChannels: 24, stride: 2 },
    { kind: "add", name: "block3.add", inputs: ["block3.bn2", "block3.shortcut"] },
    { kind: "relu", name: "block3.relu2" },
    { kind: "globalavgpool2d", name: "pool" },
    { kind: "dropout", name: "dropout", p: 0.1 },
    { kind: "linear", name: "fc", outFeatures: 10 },
  ],
}, "residual blocks");

const options = { choose, images: { augmentation: "flip" } } as const;
const training = { ...options, mode: "train", batch: 64, optimizer: sgd(), averages: true } as const;
const plans = {
  "seed train": () => lowerPlan(seed, training),
  "seed evaluate": () => lowerPlan(seed, { ...options, mode: "evaluate", batch: 256 }),
  "seed score": () => lowerPlan(seed, { ...options, mode: "score", batch: 16 }),
  "blocks train": () => lowerPlan(blocks, training),
  "blocks evaluate": () => lowerPlan(blocks, { ...options, mode: "evaluate", batch: 256 }),
};

const fileOf = (name: string) => new URL(`golden/${name.replace(" ", "_")}.txt`, import.meta.url);

for (const [name, lower] of Object.entries(plans)) {
  Deno.test(`describePlan() prints the plan ${name} as in golden/`, async () => {
    assertEquals(describePlan(lower()), await Deno.readTextFile(fileOf(name)));
  });
}

if (import.meta.main) {
  for (const [name, lower] of Object.entries(plans)) {
    await Deno.writeTextFile(fileOf(name), describePlan(lower()));
  }
}
