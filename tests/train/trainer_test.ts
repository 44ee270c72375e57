import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { NumericError } from "../../src/errors.ts";
import type { NamedParameters } from "../../src/gpu/network.ts";
import { adam, type OptimizerSettings, sgd } from "../../src/plan/optimizer.ts";
import { constantSchedule } from "../../src/train/schedule.ts";
import type { TrainSettings, TrainState } from "../../src/train/phase.ts";
import { train } from "../../src/train/trainer.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { openWorkbench, tinyGraph, type Workbench } from "../helpers/tiny_network.ts";
import { readPaths } from "../kernels/harness.ts";

const settings: TrainSettings = { epochs: 2, batch: 16, learningRate: 0.05, optimizer: sgd(), seed: 3 };

function run(bench: Workbench, more: Partial<TrainSettings> = {}) {
  return train(bench.network, bench.train, {
    ...settings,
    ...more,
    choose: bench.choose,
    slots: bench.slots,
  });
}

async function valuesAfter(
  path: "storage" | "texture",
  more: Partial<TrainSettings>,
): Promise<NamedParameters> {
  using bench = openWorkbench(await deviceOf(path));
  await run(bench, more);
  return await bench.network.readParameters();
}

for (const path of readPaths) {
  Deno.test(`train() gives the same bits for the same seed, and others for another, on ${path}`, async () => {
    const options = { augmentation: "flip-crop", labelSmoothing: 0.1 } as const;
    const first = await valuesAfter(path, options);
    assertEquals(await valuesAfter(path, options), first);
    assertNotEquals(await valuesAfter(path, { ...options, seed: 4 }), first);
    assertNotEquals(await valuesAfter(path, { ...options, firstEpoch: 5 }), first);
  });

  Deno.test(`train() leaves removed weights at exactly zero, on ${path}`, async () => {
    using bench = openWorkbench(await deviceOf(path));
    const { network } = bench;
    const values = await network.readParameters();
    const masks = new Map(
      [...values].filter(([name]) => name.endsWith(".weight"))
        .map(([name, weights]) => [name, weights.map((_, i) => (i * 7) % 3 === 0 ? 0 : 1)]),
    );
    network.writeMask(masks);
    for (const optimizer of [sgd({ weightDecay: 0.01 }), adam({ kind: "adamw", weightDecay: 0.01 })]) {
      await run(bench, { optimizer, epochs: 1 });
      const trained = await network.readParameters();
      assert(masks.size > 3);
      for (const [name, mask] of masks) {
        const weights = trained.get(name)!;
        assert(weights.every((weight, i) => mask[i] === 1 ? weight !== 0 : weight === 0), name);
      }
    }
  });
}

const optimizers: Readonly<Record<string, readonly [OptimizerSettings, number]>> = {
  sgd: [sgd({ momentum: 0 }), 0.2],
  momentum: [sgd(), 0.05],
  nesterov: [sgd({ nesterov: true, weightDecay: 1e-4 }), 0.05],
  adam: [adam(), 0.01],
  adamw: [adam({ kind: "adamw", weightDecay: 0.01 }), 0.01],
};

for (const [name, [optimizer, learningRate]] of Object.entries(optimizers)) {
  Deno.test(`train() lowers the loss with ${name}`, async () => {
    using bench = openWorkbench(await deviceOf(), { graph: tinyGraph({ conv1: 8, conv2: 8, fc1: 16 }) });
    const losses: number[] = [];
    const result = await run(bench, {
      optimizer,
      learningRate,
      epochs: 8,
      stepsPerReading: 6,
      onProgress: ({ loss }) => losses.push(loss),
    });
    assertEquals([result.steps, losses.length], [48, 8]);
    assert(losses[0] > 0.8 && losses[0] < 2, `first epoch ${losses[0]}`);
    assert(result.loss < 0.5 * losses[0], `${losses}`);
    assert(result.accuracy > 0.9, `${result.accuracy}`);
    assertEquals(result.loss, losses.at(-1));
  });
}

Deno.test("train() reports steps, epochs and means as it goes", async () => {
  using bench = openWorkbench(await deviceOf());
  const seen: string[] = [];
  await run(bench, {
    stepsPerReading: 4,
    onProgress({ step, steps, epoch, loss, accuracy, examplesPerSecond }) {
      seen.push(`${step}/${steps} epoch ${epoch}`);
      assert(loss > 0 && accuracy >= 0 && accuracy <= 1 && examplesPerSecond > 0);
    },
  });
  // 96 examples are 6 batches an epoch.
  assertEquals(seen, ["4/12 epoch 0", "6/12 epoch 0", "8/12 epoch 1", "12/12 epoch 1"]);
});

Deno.test("train() takes all examples as a batch where the batch is larger than they are", async () => {
  using bench = openWorkbench(await deviceOf(), { batch: 512, dataset: tinyDataset({ train: 24 }) });
  assertEquals((await run(bench, { batch: 512, epochs: 3 })).steps, 3);
});

Deno.test("train() stops at a loss that is not finite, with the values of the last good reading", async () => {
  for (const path of readPaths) {
    using bench = openWorkbench(await deviceOf(path));
    const before = await bench.network.readParameters();
    const error = await assertRejects(() => run(bench, { learningRate: 1e30 }), NumericError);
    const { step = -1, message } = error;
    assert(step >= 1 && step <= 3, `step ${step}`);
    const found = /^Cannot train at step "(\d)": (the loss is|[a-z ]*(conv|fc)\d\.\w+\[[\d, ]+\] is \S+,)/;
    assertEquals(message.match(found)?.[1], `${step}`, message);
    assertEquals(await bench.network.readParameters(), before);
  }
});

Deno.test("train() goes back no further than the last reading", async () => {
  using bench = openWorkbench(await deviceOf());
  const blowsUp = { ...constantSchedule, learningRateShare: (step: number) => step < 4 ? 1 : 1e35 };
  const error = await assertRejects(
    () => run(bench, { schedule: blowsUp, stepsPerReading: 4 }),
    NumericError,
  );
  const good = await bench.network.readParameters();
  assert(error.step! >= 4 && error.step! <= 5, `step ${error.step}`);
  using other = openWorkbench(await deviceOf());
  await assertRejects(() => run(other, { schedule: blowsUp, stepsPerReading: 2 }), NumericError);
  assertEquals(await other.network.readParameters(), good, "both read after step 4");
});

Deno.test("train() does not depend on what was trained before on the same network", async () => {
  using bench = openWorkbench(await deviceOf());
  const start = await bench.network.readParameters();
  const trained: NamedParameters[] = [];
  for (const optimizer of [sgd(), adam()]) {
    for (let i = 0; i < 2; i++) {
      bench.network.writeParameters(start);
      await run(bench, { optimizer });
      trained.push(await bench.network.readParameters());
    }
  }
  assertEquals(trained[1], trained[0]);
  assertEquals(trained[3], trained[2]);
});

Deno.test("train() holds the running mean after a phase, and the last values without averaging", async () => {
  using bench = openWorkbench(await deviceOf());
  await run(bench);
  const mean = await bench.network.readParameters("mean");
  assertEquals(mean, await bench.network.readParameters("values"));
  await run(bench, { schedule: constantSchedule });
  assertEquals(await bench.network.readParameters("mean"), mean);
  assertNotEquals(await bench.network.readParameters("values"), mean);
});

Deno.test("train() keeps memory flat over 1,000 steps", async () => {
  const gpu = await deviceOf();
  using bench = openWorkbench(gpu, {
    graph: tinyGraph({ conv1: 1, conv2: 1, fc1: 4 }),
    dataset: tinyDataset({ train: 1600, test: 4 }),
  });
  const growth: number[] = [];
  // Tests that run beside this one share its process and may allocate meanwhile; what leaks does so each time.
  for (let tried = 0; tried < 4 && !growth.some((bytes) => bytes < 64 * 2 ** 20); tried++) {
    const seen = new Map<number, { readonly device: number; readonly host: number }>();
    await run(bench, {
      batch: 8,
      epochs: 5,
      stepsPerReading: 200,
      learningRate: 1e-3,
      onProgress: ({ step }) => seen.set(step, { device: gpu.allocatedBytes, host: Deno.memoryUsage().rss }),
    });
    const early = seen.get(200)!, late = seen.get(1000)!;
    assertEquals(late.device, early.device);
    growth.push(late.host - early.host);
  }
  assert(Math.min(...growth) < 64 * 2 ** 20, `${growth.map((bytes) => bytes / 2 ** 20)} MiB more`);
});

/** Counts the submits while a phase of so many steps trains with one reading, at its end. */
async function countSubmits(steps: number): Promise<number> {
  const gpu = await deviceOf(), { queue } = gpu.device, submit = queue.submit.bind(queue);
  using bench = openWorkbench(gpu, { dataset: tinyDataset({ train: 16 * steps, test: 4 }) });
  let count = 0;
  queue.submit = (buffers) => {
    count++;
    return submit(buffers);
  };
  try {
    await run(bench, { epochs: 1, stepsPerReading: steps });
  } finally {
    queue.submit = submit;
  }
  return count;
}

Deno.test("train() submits once a step, with the running mean and without", async () => {
  assertEquals(await countSubmits(24) - await countSubmits(4), 20);
});

Deno.test("train() ends between two steps where a signal is aborted, with a checkpoint from which it goes on to the same bits", async () => {
  using bench = openWorkbench(await deviceOf());
  const whole = await run(bench), wanted = await bench.network.readParameters();
  for (const at of [1, 4, 5, 6, 10, 11]) {
    using other = openWorkbench(await deviceOf());
    const controller = new AbortController(), reason = new Error("told to stop"), saved: TrainState[] = [];
    const checkpoints = {
      isDue: (step: number) => {
        if (step === at) controller.abort(reason);
        return false;
      },
      save: (state: TrainState) => Promise.resolve(void saved.push(structuredClone(state))),
    };
    const { signal } = controller;
    // Whoever asks whether one is due at a step may be told to stop there: the next step is the last then.
    if (at === 11) {
      // The last step ends the phase.
      assertEquals((await run(other, { checkpoints, signal })).epochs, whole.epochs);
      continue;
    }
    await assertRejects(() => run(other, { checkpoints, signal }), Error, "told to stop");
    assertEquals(saved.map(({ step, epoch }) => [step, epoch]), [[at + 1, Math.floor((at + 1) / 6)]]);
    const result = await run(other, { resume: saved[0] });
    assertEquals([result.epochs, result.loss], [whole.epochs, whole.loss], `${at}`);
    assertEquals(await other.network.readParameters(), wanted, `${at}`);
  }
});
