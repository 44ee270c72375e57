/** Tests of training on mixed images. */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { ConfigError, ShapeError } from "../../src/errors.ts";
import { FeatureExamples } from "../../src/gpu/examples.ts";
import { DeviceImages } from "../../src/gpu/images.ts";
import { Network } from "../../src/gpu/network.ts";
import { imagesToQuads } from "../../src/io/quads.ts";
import type { Graph } from "../../src/model/graph.ts";
import { sgd } from "../../src/plan/optimizer.ts";
import { mixBits } from "../../src/random.ts";
import { openEvaluator } from "../../src/train/evaluate.ts";
import { drawShares } from "../../src/train/mixup.ts";
import { averagedSchedule } from "../../src/train/schedule.ts";
import type { TrainOptions, TrainSettings } from "../../src/train/phase.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset, tinySize } from "../helpers/tiny_dataset.ts";
import { openWorkbench, tinyGraph, type Workbench } from "../helpers/tiny_network.ts";
import { readPaths } from "../kernels/harness.ts";
import { distillationLoss } from "../reference/distillation.ts";
import { mixedCrossEntropy, mixedImages } from "../reference/mixup.ts";
import { networkBackward, networkForward, PARAMETER_NAMES } from "../reference/network.ts";
import { assertClose, F32_ROUNDOFF, tensorOf } from "../reference/tensor.ts";
import { parametersOf, tinySettings, trainTiny } from "./tiny_training.ts";

// Without momentum, so that a step can be followed.
const settings: TrainSettings = { ...tinySettings, optimizer: sgd({ momentum: 0 }) };
const run = (bench: Workbench, more: Partial<TrainOptions> = {}) =>
  trainTiny(bench, { optimizer: settings.optimizer, ...more });

async function valuesAfter(more: Partial<TrainOptions>) {
  using bench = openWorkbench(await deviceOf());
  const { loss, accuracy } = await run(bench, more);
  return { loss, accuracy, values: await bench.network.readParameters() };
}

for (const path of readPaths) {
  Deno.test(`train() learns mixed images, with a teacher too, as the reference does, on ${path}`, async () => {
    const gpu = await deviceOf(path), start = gpu.allocatedBytes;
    for (const labelSmoothing of [0, .125]) {
      using bench = openWorkbench(gpu, { seed: 1 }),
        teacher = new Network(gpu, tinyGraph({ conv1: 3, conv2: 6, fc1: 9 }), 2);
      const { pixels: images, labels, count } = bench.dataset.train, { mean, std } = bench.dataset;
      const pixels = Float64Array.from(images, (byte) => (byte / 255 - mean[0]) / std[0]);
      const alpha = 1, shares = drawShares(mixBits(mixBits(settings.seed) ^ 0), { alpha, batch: count });
      const mixed = mixedImages(tensorOf([count, 1, tinySize, tinySize], pixels), shares);
      const student = await parametersOf(bench.network), activations = networkForward(student, mixed);
      const hard = mixedCrossEntropy(activations.logits, labels, { shares, labelSmoothing });
      const taught = networkForward(await parametersOf(teacher), mixed).logits;
      const share = .75, temperature = 3;
      const soft = distillationLoss(activations.logits, taught, { labels, share: 1, temperature });
      const dlogits = tensorOf(
        hard.dlogits.shape,
        hard.dlogits.values.map((value, i) => (1 - share) * value + share * soft.dlogits.values[i]),
      );
      const gradients = networkBackward(student, activations, dlogits);
      const learningRate = .5, whole = { epochs: 1, batch: count, learningRate, shuffle: false };
      const distillation = { share, temperature };
      const result = await run(bench, { ...whole, mixup: alpha, labelSmoothing, distillation, teacher });
      const trained = await bench.network.readParameters();
      for (const name of PARAMETER_NAMES) {
        const want = student[name].values.map((value, i) => value - learningRate * gradients[name].values[i]);
        // Sums of at most 96 * 64 terms of a size near 1, weighed by 1 / 96.
        const tolerance = 2 * 96 * 64 * F32_ROUNDOFF;
        assertClose(trained.get(name)!, want, { tolerance, name: `${path} ${name}` });
      }
      const loss = (1 - share) * hard.loss + share * soft.loss;
      assert(Math.abs(result.loss - loss) < 1e-4, `${result.loss} and ${loss}`);
      // The label of the larger share is the row's own.
      const { values } = activations.logits, classes = values.length / count;
      const hits = Array.from(labels).filter((label, row) => {
        const z = values.subarray(row * classes, (row + 1) * classes);
        return z.indexOf(Math.max(...z)) === label;
      }).length;
      assertEquals(result.accuracy, hits / count);
    }
    assertEquals(gpu.allocatedBytes, start);
  });
}

Deno.test("drawShares() gives the larger share to the row itself, by the seed alone", () => {
  const options = { alpha: .3, batch: 64 }, shares = drawShares(5, options);
  assert(shares.every((share) => share >= .5 && share <= 1));
  assertEquals(drawShares(5, options), shares);
  assertNotEquals(drawShares(6, options), shares);
  assert(new Set(shares).size > 32, "each row has a share of its own");
});

Deno.test("train() with mixup gives the same bits for the same seed, and others for another", async () => {
  const options = { augmentation: "flip-crop", cutout: 2, mixup: .4 } as const;
  const first = await valuesAfter(options);
  assertEquals(await valuesAfter(options), first);
  for (const other of [{ seed: 4 }, { firstEpoch: 5 }, { mixup: 0 }, { mixup: 2 }]) {
    assertNotEquals((await valuesAfter({ ...options, ...other })).values, first.values);
  }
  // Shares of exactly 0 and 1 leave images and labels as they are.
  assertEquals(await valuesAfter({ ...options, mixup: 1e-300 }), await valuesAfter({ ...options, mixup: 0 }));
});

Deno.test("train() mixes wherever the examples lie, and accumulated batches too", async () => {
  const gpu = await deviceOf("storage"),
    dataset = tinyDataset(),
    { pixels: images, labels, count } = dataset.train;
  const pixels = Float32Array.from(images, (byte) => (byte / 255 - dataset.mean[0]) / dataset.std[0]);
  const features = imagesToQuads(pixels, [count, 1, tinySize, tinySize]);
  using resident = new DeviceImages(gpu, dataset.train, { dataset, batch: 16 });
  using uploading = new DeviceImages(gpu, dataset.train, { dataset, batch: 16, maxResidentBytes: 0 });
  const uploaded = new FeatureExamples(features, Uint32Array.from(labels), 16);
  const after: (readonly number[])[] = [];
  for (const examples of [resident, uploading, uploaded]) {
    using bench = openWorkbench(gpu), teacher = new Network(gpu, tinyGraph(), 2);
    const options = { distillation: { share: .5, temperature: 2 }, teacher, accumulate: 2, mixup: 1 };
    await run({ ...bench, train: examples as DeviceImages }, options);
    after.push([...(await bench.network.readParameters()).values()].flatMap((values) => [...values]));
  }
  assertEquals(after[1], after[0]);
  // The host divides and rounds otherwise: a few roundings of each pixel, and 6 steps of rate .05 from there.
  assertClose(after[2], after[0], { tolerance: 64 * 16 * F32_ROUNDOFF, name: "features" });
});

Deno.test("train() shows a teacher the student's mixed images", async () => {
  // A student that is its own teacher has nothing to learn where both see the same.
  using bench = openWorkbench(await deviceOf()), teacher = new Network(await deviceOf(), tinyGraph(), 0);
  const distillation = { share: 1, temperature: 2 };
  const result = await run(bench, { augmentation: "flip-crop", mixup: 1, distillation, teacher });
  assert(Math.abs(result.loss) < 1e-5, `${result.loss}`);
});

Deno.test("train() mixes in training steps alone: not in validation, recalibration or evaluation", async () => {
  const layers = tinyGraph().layers.flatMap((layer) =>
    layer.name === "conv1"
      ? [layer, { kind: "batchnorm2d", name: "norm1", epsilon: 1e-5, momentum: .1 }]
      : [layer]
  );
  const graph = { ...tinyGraph(), layers } as Graph;
  const outcome = async (mixup: number) => {
    using bench = openWorkbench(await deviceOf(), { graph });
    // Values stay, so that only what the images were tells in losses and statistics.
    const still = { learningRate: 0, schedule: averagedSchedule, recalibration: "augmented" } as const;
    const earlyStopping = { patience: 0, measure: "loss" } as const, validation = bench.test;
    const { loss, best } = await run(bench, { ...still, mixup, earlyStopping, validation });
    using evaluator = await openEvaluator(bench.network, bench.test, bench);
    const { loss: tested, accuracy } = await evaluator.evaluate();
    return { loss, rest: { best, tested, accuracy, values: await bench.network.readParameters() } };
  };
  const plain = await outcome(0), mixed = await outcome(1);
  assertNotEquals(mixed.loss, plain.loss);
  assertEquals(mixed.rest, plain.rest);
});

Deno.test("train() refuses what cannot be mixed", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  {
    using bench = openWorkbench(gpu);
    for (const mixup of [-1, NaN, Infinity]) {
      const message = `"mixup": ${mixup}, expected a finite number, at least 0`;
      await assertRejects(() => run(bench, { mixup }), ConfigError, message);
    }
    await assertRejects(() => run(bench, { mixup: .2, batch: 1 }), ShapeError, '"mixup": a batch of 1');
  }
  assertEquals(gpu.allocatedBytes, start);
});
