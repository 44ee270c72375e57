/**
 * Holds scores and masks of a tiny network against the f64 reference.
 *
 * A gradient here is a chain of sums of less than 400 terms in all, so it is off by at most 400 2^-24 of the largest;
 * scores multiply it at most twice.
 */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Model } from "../../src/api/model.ts";
import { getCore } from "../../src/api/model_core.ts";
import type { NamedParameters } from "../../src/gpu/network.ts";
import { signalToNoiseAt } from "../../src/prune/score/confidence.ts";
import type { Criterion } from "../../src/prune/score/criteria.ts";
import { Pruner } from "../../src/prune/pruner.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset, tinySize } from "../helpers/tiny_dataset.ts";
import { openWorkbench, tinyGraph } from "../helpers/tiny_network.ts";
import { readPaths } from "../kernels/harness.ts";
import { referencePass, type Tensors } from "../plan/reference_graph.ts";
import {
  accumulateFisher,
  evidencePrior,
  matchedPrior,
  signalToNoise,
  updateRunningMean,
} from "../reference/confidence.ts";
import { gradientScores, magnitudeScores, obdScores, taylorScores } from "../reference/criteria.ts";
import { assertClose, F32_ROUNDOFF, maxAbs, tensorOf } from "../reference/tensor.ts";

const dataset = tinyDataset({ train: 50, test: 8 }), batchSize = 16, examples = 200;
const tolerance = 2 * 400 * F32_ROUNDOFF;

/** The mean gradient and Fisher information of every parameter over the whole batches of the training images. */
function referenceGradients(parameters: Tensors) {
  const { pixels: images, labels } = dataset.train, size = tinySize ** 2;
  const fisher: Record<string, Float64Array> = {}, mean: Record<string, Float64Array> = {};
  for (let b = 0; b < 3; b++) {
    const pixels = Float64Array.from(
      images.subarray(b * batchSize * size, (b + 1) * batchSize * size),
      (byte) => (byte / 255 - dataset.mean[0]) / dataset.std[0],
    );
    const { gradients } = referencePass(tinyGraph(), parameters, {
      images: tensorOf([batchSize, 1, tinySize, tinySize], pixels),
      labels: labels.subarray(b * batchSize, (b + 1) * batchSize),
      trains: false,
    });
    for (const [name, { values }] of Object.entries(gradients)) {
      accumulateFisher(fisher[name] ??= new Float64Array(values.length), values, { batchSize, count: b + 1 });
      updateRunningMean(mean[name] ??= new Float64Array(values.length), values, b + 1);
    }
  }
  return { fisher, mean };
}

/** Mean absolute weight of the filter that each weight belongs to. */
function filterNorms(weights: ArrayLike<number>, filters: number): Float64Array {
  const size = weights.length / filters;
  return Float64Array.from(weights, (_, i) => {
    const filter = Array.from(weights).slice(Math.floor(i / size) * size, (Math.floor(i / size) + 1) * size);
    return filter.reduce((sum, weight) => sum + Math.abs(weight), 0) / size;
  });
}

const isWeight = (name: string) => name.endsWith(".weight");

for (const path of readPaths) {
  Deno.test(`Pruner.score() scores by every criterion as the reference, on ${path}`, async () => {
    const gpu = await deviceOf(path), start = gpu.allocatedBytes;
    {
      using bench = openWorkbench(gpu, { dataset, seed: 8 });
      const { network, train } = bench;
      using pruner = new Pruner(network);
      network.copyArena("values", "mean");
      await pruner.accumulate(train, bench);
      const values = await network.readParameters();
      const shapes = new Map(network.layout.parameters.map(({ fullName, shape }) => [fullName, shape]));
      const parameters = Object.fromEntries(
        [...values].map(([name, v]) => [name, tensorOf(shapes.get(name)!, v)]),
      );
      const { fisher, mean } = referenceGradients(parameters);
      const names = [...values.keys()].filter(isWeight);
      const matched = matchedPrior(names.map((name) => values.get(name)!));
      const check = async (
        criterion: Criterion,
        want: (name: string) => Float64Array,
        prior: "matched" | "evidence",
      ) => {
        await pruner.score(criterion, { examples, seed: 4, prior });
        const scores = await network.readParameters("scores");
        for (const name of names) {
          const wanted = want(name);
          const name_ = `${criterion} (${prior}) of ${name}`;
          assertClose(scores.get(name)!, wanted, { name: name_, tolerance: tolerance * maxAbs(wanted) });
        }
      };
      const v = (name: string) => values.get(name)!;
      await check("magnitude", (name) => magnitudeScores(v(name)), "matched");
      await check("gradient", (name) => gradientScores(mean[name]), "matched");
      await check("taylor", (name) => taylorScores(v(name), mean[name]), "matched");
      await check("obd", (name) => obdScores(v(name), fisher[name]), "matched");
      await check("l1", (name) => filterNorms(v(name), shapes.get(name)![0]), "matched");
      const z = (name: string, priorPrecision: number) =>
        signalToNoise(v(name), fisher[name], { exampleCount: examples, priorPrecision });
      await check("confidence", (name) => z(name, matched), "matched");
      const evidence = (name: string) => {
        const lowest = 1e-3 * matchedPrior([v(name)]);
        return evidencePrior(v(name), fisher[name], { exampleCount: examples, rounds: 10, lowest });
      };
      await check("confidence", (name) => z(name, evidence(name)), "evidence");
    }
    assertEquals(gpu.allocatedBytes, start);
  });
}

Deno.test("Pruner.score() draws another random order for another seed", async () => {
  using bench = openWorkbench(await deviceOf(), { dataset });
  using pruner = new Pruner(bench.network);
  const draw = async (seed: number) => {
    await pruner.score("random", { examples, seed, prior: "matched" });
    return (await bench.network.readParameters("scores")).get("fc1.weight")!;
  };
  const first = await draw(1);
  assertEquals(await draw(1), first);
  assertNotEquals(await draw(2), first);
  assert(first.every((score) => score >= 0 && score < 1));
  assert(new Set(first).size > 0.99 * first.length);
});

/** Weights and their masks or scores, one list in the order of the names. */
function join(named: NamedParameters): number[] {
  return [...named].filter(([name]) => isWeight(name)).flatMap(([, values]) => [...values]);
}

for (const path of readPaths) {
  for (const criterion of ["magnitude", "l1", "random"] as const) {
    Deno.test(`Pruner.remove() removes exactly so many by ${criterion}, on ${path}`, async () => {
      using bench = openWorkbench(await deviceOf(path), { dataset });
      const { network } = bench, { prunableCount } = network.layout;
      using pruner = new Pruner(network);
      network.copyArena("values", "mean");
      await pruner.score(criterion, { examples, seed: 4, prior: "matched" });
      const scores = join(await network.readParameters("scores"));
      const biases = (await network.readParameters()).get("fc1.bias");
      for (const k of [0, 1, 17, Math.floor(prunableCount / 2), prunableCount - 1, prunableCount]) {
        const layers = await pruner.remove(k);
        const mask = await network.readParameters("mask"), keeps = join(mask);
        assertEquals(keeps.filter((keep) => keep === 0).length, k);
        assert(keeps.every((keep) => keep === 0 || keep === 1));
        const removed = scores.filter((_, i) => keeps[i] === 0),
          kept = scores.filter((_, i) => keeps[i] === 1);
        assert(Math.max(0, ...removed) <= Math.min(Infinity, ...kept), `the smallest go, ${k}`);
        for (const { name, weights, kept, channels, emptyChannels } of layers) {
          const own = mask.get(name)!, size = weights / channels;
          assertEquals([own.length, own.filter((keep) => keep === 1).length], [weights, kept]);
          const empty = Array.from({ length: channels }, (_, c) => own.subarray(c * size, (c + 1) * size))
            .filter((filter) => filter.every((keep) => keep === 0)).length;
          assertEquals(emptyChannels, empty, name);
        }
        for (const role of ["values", "mean"] as const) {
          const values = join(await network.readParameters(role));
          assert(values.every((value, i) => keeps[i] === 1 || value === 0));
        }
      }
      const values = await network.readParameters();
      assertEquals(values.get("fc1.bias"), biases, "biases stay");
      // Where fewer are asked to go than are removed, none comes back.
      const again = await pruner.remove(1);
      assertEquals(again.reduce((sum, { kept }) => sum + kept, 0), 0);
    });
  }
}

Deno.test("Pruner.countBelow() counts kept weights below a threshold", async () => {
  using bench = openWorkbench(await deviceOf(), { dataset });
  const { network } = bench;
  using pruner = new Pruner(network);
  network.copyArena("values", "mean");
  await pruner.score("magnitude", { examples, seed: 0, prior: "matched" });
  const values = join(await network.readParameters());
  const count = values.filter((value) => Math.abs(value) < 0.1).length;
  assert(count > 20);
  assertEquals(await pruner.countBelow(Math.fround(0.1)), count);
  await pruner.remove(20);
  assertEquals(await pruner.countBelow(Math.fround(0.1)), count - 20);
  assertEquals(await pruner.countBelow(0), 0);
});

Deno.test("Model.prune() by a confidence threshold reaches a fixed point", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset, seed: 2 });
  const threshold = signalToNoiseAt(0.4);
  const outcome = await model.prune({ threshold }, {
    rounds: 40,
    prior: "evidence",
    examples,
    calibration: dataset.train,
    test: dataset.test,
    finetune: () => model.train(dataset.train, { epochs: 1, batch: 16, learningRate: 0.01 }),
  });
  assertEquals(outcome.end, "fixed point");
  assert(outcome.rounds.length < 40 && outcome.removed > 0, `${outcome.rounds.length} rounds`);
  const { prunableCount } = getCore(model).network.layout;
  const last = outcome.rounds.slice(-3).map(({ removed }) => removed);
  assert(last[2] - last[0] < 2e-3 * prunableCount);
  for (const [i, { removed }] of outcome.rounds.entries()) {
    const before = i === 0 ? 0 : outcome.rounds[i - 1].removed;
    // Of few weights a fifth may be none, so one may go.
    const most = Math.max(1, 0.2 * (prunableCount - before));
    assert(removed - before <= most, "at most a fifth of what is left");
  }
});
