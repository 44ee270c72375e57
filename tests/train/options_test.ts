/** Tests of what training can be told beside its optimizer. */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { ConfigError, ShapeError } from "../../src/errors.ts";
import { FeatureExamples } from "../../src/gpu/examples.ts";
import { DeviceImages } from "../../src/gpu/images.ts";
import { Network } from "../../src/gpu/network.ts";
import { imagesToQuads } from "../../src/io/quads.ts";
import { adam, sgd } from "../../src/plan/optimizer.ts";
import { averagedFrom, averagedSchedule, constantSchedule, type Schedule } from "../../src/train/schedule.ts";
import type { TrainOptions } from "../../src/train/phase.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset, tinySize } from "../helpers/tiny_dataset.ts";
import { openWorkbench, tinyGraph } from "../helpers/tiny_network.ts";
import { readPaths } from "../kernels/harness.ts";
import { distillationLoss } from "../reference/distillation.ts";
import { networkBackward, networkForward, PARAMETER_NAMES } from "../reference/network.ts";
import { assertClose, F32_ROUNDOFF, tensorOf } from "../reference/tensor.ts";
import { parametersOf, trainTiny } from "./tiny_training.ts";

/** All parameters of a network as one list. */
async function valuesOf(network: Network): Promise<number[]> {
  return [...(await network.readParameters()).values()].flatMap((values) => [...values]);
}

async function valuesAfter(more: Partial<TrainOptions>, path: "storage" | "texture" = "storage") {
  using bench = openWorkbench(await deviceOf(path));
  const result = await trainTiny(bench, more);
  return { result, values: await valuesOf(bench.network) };
}

for (const path of readPaths) {
  Deno.test(`train() with accumulated batches is training on their union, on ${path}`, async () => {
    for (const optimizer of [sgd({ clipNorm: .5, l1: 1e-3 }), adam({ decayBias: false, weightDecay: .01 })]) {
      const learningRate = optimizer.kind === "sgd" ? .05 : 1e-3;
      const whole = await valuesAfter({ optimizer, learningRate, batch: 24 }, path);
      const parts = await valuesAfter({ optimizer, learningRate, batch: 8, accumulate: 3 }, path);
      assertEquals(parts.result.steps, whole.result.steps);
      // A gradient's sums have at most 24 * 64 terms; Adam divides a gradient by its own size, which a step of 1e-3
      // bounds. 8 steps, each of which doubles what came before at most.
      const tolerance = 2 ** 8 * 24 * 64 * F32_ROUNDOFF * learningRate;
      assertClose(parts.values, whole.values, { tolerance, name: `${path} ${optimizer.kind}` });
      assert(Math.abs(parts.result.loss - whole.result.loss) < 1e-3);
      assertEquals(parts.result.accuracy, whole.result.accuracy);
    }
  });

  Deno.test(`train() learns from a teacher as the reference does, on ${path}`, async () => {
    const gpu = await deviceOf(path), start = gpu.allocatedBytes;
    {
      using bench = openWorkbench(gpu, { seed: 1 }),
        teacher = new Network(gpu, tinyGraph({ conv1: 3, conv2: 6, fc1: 9 }), 2);
      const { pixels: images, labels, count } = bench.dataset.train, { mean, std } = bench.dataset;
      const pixels = Float64Array.from(images, (byte) => (byte / 255 - mean[0]) / std[0]);
      const all = tensorOf([count, 1, tinySize, tinySize], pixels);
      const student = await parametersOf(bench.network);
      const activations = networkForward(student, all);
      const distillation = { share: .75, temperature: 3 };
      const { loss, dlogits } = distillationLoss(
        activations.logits,
        networkForward(await parametersOf(teacher), all).logits,
        { ...distillation, labels },
      );
      const gradients = networkBackward(student, activations, dlogits);
      const learningRate = .5, optimizer = sgd({ momentum: 0 });
      const kept = await teacher.readParameters();
      const result = await trainTiny(bench, {
        epochs: 1,
        batch: count,
        learningRate,
        optimizer,
        distillation,
        teacher,
      });
      const trained = await bench.network.readParameters();
      for (const name of PARAMETER_NAMES) {
        const want = student[name].values.map((value, i) => value - learningRate * gradients[name].values[i]);
        // Sums of at most 96 * 64 terms of a size near 1, weighed by 1 / 96.
        const tolerance = 2 * 96 * 64 * F32_ROUNDOFF;
        assertClose(trained.get(name)!, want, { tolerance, name: `${path} ${name}` });
      }
      assert(Math.abs(result.loss - loss) < 1e-4, `${result.loss} and ${loss}`);
      assertEquals(await teacher.readParameters(), kept, "the teacher stays");
    }
    assertEquals(gpu.allocatedBytes, start);
  });
}

Deno.test("train() shows a teacher the student's images, however they are varied", async () => {
  // A student that is its own teacher has nothing to learn where both see the same.
  using bench = openWorkbench(await deviceOf()), teacher = new Network(await deviceOf(), tinyGraph(), 0);
  const distillation = { share: 1, temperature: 2 };
  const options = { augmentation: "flip-crop", cutout: 3, optimizer: sgd({ momentum: 0 }) } as const;
  const before = await valuesOf(bench.network);
  const result = await trainTiny(bench, { ...options, distillation, teacher });
  assertClose(await valuesOf(bench.network), before, { tolerance: 1e-5, name: "values" });
  assert(Math.abs(result.loss) < 1e-5, `${result.loss}`);
});

Deno.test("train() takes teachers and accumulated batches wherever the examples lie", async () => {
  const gpu = await deviceOf("storage"),
    dataset = tinyDataset(),
    { pixels: images, labels, count } = dataset.train;
  const pixels = Float32Array.from(images, (byte) => (byte / 255 - dataset.mean[0]) / dataset.std[0]);
  const features = imagesToQuads(pixels, [count, 1, tinySize, tinySize]);
  using resident = new DeviceImages(gpu, dataset.train, { dataset, batch: 16 });
  using streamed = new DeviceImages(gpu, dataset.train, { dataset, batch: 16, maxResidentBytes: 0 });
  assertEquals([resident.isResident, streamed.isResident], [true, false]);
  const uploaded = new FeatureExamples(features, Uint32Array.from(labels), 16);
  const after = [];
  for (const examples of [resident, streamed, uploaded]) {
    using bench = openWorkbench(gpu), teacher = new Network(gpu, tinyGraph(), 2);
    const options = { distillation: { share: .5, temperature: 2 }, teacher, accumulate: 2 };
    await trainTiny({ ...bench, train: examples as DeviceImages }, options);
    after.push(await valuesOf(bench.network));
  }
  assertEquals(after[1], after[0]);
  // The host divides and rounds otherwise: a few roundings of each pixel, and 6 steps of rate .05 from there.
  assertClose(after[2], after[0], { tolerance: 64 * 16 * F32_ROUNDOFF, name: "features" });
});

Deno.test("train() with an exponential mean returns it without a bias towards its start", async () => {
  const emaDecay = .75, all = { batch: 96 } as const;
  const seen: number[][] = [];
  for (let epochs = 1; epochs <= 4; epochs++) seen.push((await valuesAfter({ ...all, epochs })).values);
  const schedule = { ...averagedSchedule, emaDecay };
  const { values } = await valuesAfter({ ...all, epochs: 4, schedule });
  const weights = [3, 2, 1, 0].map((age) => (1 - emaDecay) * emaDecay ** age / (1 - emaDecay ** 4));
  const want = values.map((_, i) => weights.reduce((sum, weight, step) => sum + weight * seen[step][i], 0));
  assertClose(values, want, { tolerance: 4 * 4 * F32_ROUNDOFF, name: "exponential mean" });
});

Deno.test("train() cuts squares out of training images alone", async () => {
  const plain = await valuesAfter({}), cut = await valuesAfter({ cutout: 4 });
  assertNotEquals(cut.values, plain.values);
  assertEquals((await valuesAfter({ cutout: 4 })).values, cut.values);
  await assertRejects(
    () => valuesAfter({ cutout: 9 }),
    ShapeError,
    'squares of side "9": images of 8 x 8 pixels',
  );
});

/** Learns for some steps, and unlearns from then on. */
const turningAt = (turn: number, more: Partial<Schedule> = {}): Schedule => ({
  ...constantSchedule,
  learningRateShare: (step) => step < turn ? 1 : -0.2,
  ...more,
});

Deno.test("train() ends early and returns the best epoch, as if training had ended there", async () => {
  for (const measure of ["accuracy", "loss"] as const) {
    for (const more of [{}, { averagedCount: averagedFrom(0), emaDecay: .5 }]) {
      using bench = openWorkbench(await deviceOf("storage"));
      const schedule = turningAt(48, more), epochs = 40, patience = 6;
      const earlyStopping = { patience, measure }, validation = bench.test;
      const { best, steps, epochs: results } = await trainTiny(bench, {
        ...{ epochs, schedule, earlyStopping, validation },
      });
      const { epoch } = best!;
      assertEquals(results.length, epoch + 1 + patience);
      assertEquals({ epoch, ...results[epoch].validation }, best);
      const ranks = results.map(({ validation }) =>
        measure === "loss" ? -validation!.loss : validation!.accuracy
      );
      assertEquals(ranks.indexOf(Math.max(...ranks)), epoch);
      assert(epoch >= 2 && epoch < 10, `epoch ${epoch}`);
      assertEquals(steps, 6 * (epoch + 1 + patience));
      const { values } = await valuesAfter({ epochs: epoch + 1, schedule });
      assertEquals(await valuesOf(bench.network), values);
    }
  }
});

Deno.test("train() keeps the best epoch without patience, and goes on to the end", async () => {
  using bench = openWorkbench(await deviceOf());
  const earlyStopping = { patience: 0, measure: "loss" } as const;
  const options = { epochs: 8, schedule: turningAt(18), earlyStopping, validation: bench.test };
  const { best, steps, epochs, loss, accuracy } = await trainTiny(bench, options);
  assertEquals(steps, 48);
  assertEquals(epochs.length, 8);
  assertEquals(epochs[7], { loss, accuracy, validation: epochs[7].validation });
  assert(best!.epoch < 5);
});

Deno.test("train() refuses options without what they need", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  {
    using bench = openWorkbench(gpu), other = new Network(gpu, tinyGraph(), 0);
    const earlyStopping = { patience: 1, measure: "loss" } as const,
      distillation = { share: .5, temperature: 2 };
    const cases: readonly (readonly [Partial<TrainOptions>, string])[] = [
      [{ earlyStopping }, '"earlyStopping": no validation examples'],
      [{ validation: bench.test }, '"earlyStopping": only validation examples'],
      [{ distillation }, '"distillation": no teacher'],
      [{ teacher: other }, '"distillation": only a teacher'],
      [{ accumulate: 0 }, '"accumulate": 0, expected a whole number, at least 1'],
    ];
    for (const [options, message] of cases) {
      await assertRejects(() => trainTiny(bench, options), ConfigError, message);
    }
    await assertRejects(
      () => trainTiny(bench, { accumulate: 7 }),
      ShapeError,
      '"batch": 112, expected at most 96',
    );
    const graph = { ...tinyGraph(), name: "large", input: { channels: 1, height: 12, width: 12 } };
    using teacher = new Network(gpu, graph, 0);
    await assertRejects(
      () => trainTiny(bench, { distillation, teacher }),
      ShapeError,
      '"large": 1 x 12 x 12 to 4 classes',
    );
  }
  assertEquals(gpu.allocatedBytes, start);
});
