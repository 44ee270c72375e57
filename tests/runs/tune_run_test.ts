/** Runs from code have their products tuned as those of the commands. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { configOf } from "../helpers/config.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { shapeKey } from "../../src/kernels/product_choices.ts";
import type { ProductChooser } from "../../src/kernels/product.ts";
import { runCompare } from "../../src/runs/compare.ts";
import { lowerRunPlans, type RunSizes } from "../../src/runs/plans.ts";
import { runPrune } from "../../src/runs/prune.ts";
import { runSensitivity } from "../../src/runs/sensitivity.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const settings = { epochs: 1, batch: 16, rounds: 1, finetuneEpochs: 0, compare: false, validation: 8 };
const versions = { winnow: "a test" }, dataset = tinyDataset(), graph = tinyGraph();
const config = configOf({ ...settings, criterion: "magnitude" });

/** Has a device ask for products without measuring any; the keys of those that were asked for. */
async function watchTuning(gpu: Gpu, act: (asked: ReadonlySet<string>) => Promise<void>): Promise<void> {
  const asked = new Set<string>(), { choose } = gpu;
  const watch: ProductChooser = (shape) => {
    asked.add(shapeKey(shape));
    return choose(shape);
  };
  gpu.tuner = {
    choose,
    tunePlans(lower, { onProduct } = {}) {
      lower(watch);
      onProduct?.(asked.size, asked.size);
      return Promise.resolve(0);
    },
  };
  try {
    await act(asked);
  } finally {
    gpu.tuner = undefined;
  }
}

const given = { config, dataset, graph, versions };
const runs: Readonly<Record<string, (gpu: Gpu, more: object) => Promise<{ readonly cores?: unknown }>>> = {
  runPrune: async (gpu, more) => (await runPrune(gpu, { ...given, ...more })).report,
  runCompare: (gpu, more) =>
    runCompare(gpu, { ...given, variants: ["magnitude"], sparsities: [0.5], seeds: [1], ...more }),
  runSensitivity: (gpu, more) => runSensitivity(gpu, { ...given, sparsities: [0.5], ...more }),
};

Deno.test("runs have the products of their refits tuned", async () => {
  const gpu = await deviceOf(), { choose } = gpu, wanted = new Set<string>();
  const refits = [{ by: "end-to-end", batch: 19 }] as const, sizes = { batch: 16, train: 96, test: 60 };
  const list = (sizes: RunSizes, into: Set<string>) =>
    lowerRunPlans(graph, sizes, (shape) => {
      into.add(shapeKey(shape));
      return choose(shape);
    });
  const others = new Set<string>();
  list({ ...sizes, refits }, wanted);
  list(sizes, others);
  assert(wanted.size > others.size);
  const refitted = configOf({ ...settings, sparsity: 0.5, refit: "end-to-end", refitSteps: 1 });
  const given = {
    runPrune: { config: refitted },
    runCompare: { variants: ["magnitude/end-to-end"] },
    runSensitivity: { config: refitted },
  };
  for (const [name, more] of Object.entries(given)) {
    await watchTuning(gpu, async (asked) => {
      await runs[name](gpu, more);
      assertEquals(wanted.difference(others).difference(asked).size, 0, name);
    });
  }
});

for (const [name, run] of Object.entries(runs)) {
  Deno.test(`${name}() hands its signal to tuning, which takes long`, async () => {
    const gpu = await deviceOf(), { choose } = gpu, { signal } = new AbortController();
    let handed: AbortSignal | undefined;
    gpu.tuner = {
      choose,
      tunePlans(_lower, { signal } = {}) {
        handed = signal;
        return Promise.reject(new Error("told to stop"));
      },
    };
    try {
      await assertRejects(() => run(gpu, { signal }), Error, "told to stop");
    } finally {
      gpu.tuner = undefined;
    }
    assert(handed === signal);
  });

  Deno.test(`${name}() has the products of training, evaluation and scoring tuned, but what is known or chosen`, async () => {
    const gpu = await deviceOf(), { choose } = gpu;
    const wanted = new Set<string>();
    lowerRunPlans(graph, { batch: 16, train: 96, test: dataset.test.count }, (shape) => {
      wanted.add(shapeKey(shape));
      return choose(shape);
    });
    await watchTuning(gpu, async (asked) => {
      const phases: string[] = [];
      const onProgress = (phase: string) => void phases.push(phase);
      const { cores } = await run(gpu, { onProgress });
      assertEquals(wanted.difference(asked).size, 0, "all was tuned");
      assertEquals(phases[0], "tune");
      const known = Object.keys(cores as object);
      assert(known.length > 0);
      (asked as Set<string>).clear();
      await run(gpu, { cores });
      assertEquals(
        known.filter((key) => wanted.has(key) && asked.has(key)),
        [],
        "what is known is not measured",
      );
      (asked as Set<string>).clear();
      await run(gpu, { choose });
      assertEquals(wanted.intersection(asked).size, 0, "a caller's choice stands");
    });
  });
}
