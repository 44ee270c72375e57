/**
 * Holds recalibrated statistics against the f64 reference: a batch norm with momentum 1 keeps its last batch's
 * statistics, whose mean over the batches is wanted. Sums of 16 * 64 pixels, behind a convolution of 9 taps, of values
 * of a size near 1, squared.
 */
import { assert, assertEquals } from "@std/assert";
import { epochBatches } from "../../src/data/batches.ts";
import { takeSplit } from "../../src/data/dataset.ts";
import { parseGraph } from "../../src/model/graph.ts";
import { sgd } from "../../src/plan/optimizer.ts";
import { recalibrate } from "../../src/train/recalibrate.ts";
import { averagedSchedule } from "../../src/train/schedule.ts";
import { train } from "../../src/train/trainer.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinySize } from "../helpers/tiny_dataset.ts";
import { openWorkbench, tinyGraph } from "../helpers/tiny_network.ts";
import { readPaths } from "../kernels/harness.ts";
import { referencePass, type Tensors } from "../plan/reference_graph.ts";
import { assertClose, maxAbs, sumTolerance, tensorOf } from "../reference/tensor.ts";

const graph = parseGraph({
  name: "normed",
  input: { channels: 1, height: tinySize, width: tinySize },
  layers: [
    { kind: "conv2d", name: "conv1", outChannels: 5, kernel: 3, padding: 1 },
    { kind: "batchnorm2d", name: "norm1", momentum: 1 },
    { kind: "relu", name: "relu1" },
    { kind: "conv2d", name: "conv2", outChannels: 3, kernel: 3, padding: 1 },
    { kind: "batchnorm2d", name: "norm2", momentum: 1 },
    { kind: "relu", name: "relu2" },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 4 },
  ],
}, "a test");

const batch = 16, seed = 5;

for (const path of readPaths) {
  Deno.test(`recalibrate() measures the mean of the batches' statistics, on ${path}`, async () => {
    using bench = openWorkbench(await deviceOf(path), { graph, batch });
    const { network, dataset, choose, slots } = bench, { mean, std } = dataset;
    const before = await network.readParameters();
    for (const maxBatches of [1, 4, 100]) {
      const measured = await recalibrate(network, bench.train, { batch, seed, maxBatches, choose, slots });
      assertEquals(measured, Math.min(maxBatches, 6));
      const parameters: Tensors = Object.fromEntries([...before].map(([name, values]) => {
        const { shape } = network.layout.parameters.find(({ fullName }) => fullName === name)!;
        return [name, tensorOf(shape, values)];
      }));
      const order = { count: dataset.train.count, batch, seed, epoch: 0, shuffle: true, dropLast: true };
      const passes = epochBatches(order).slice(0, measured).map((rows) => {
        const { pixels: images, labels } = takeSplit(dataset.train, rows);
        const pixels = Float64Array.from(images, (byte) => (byte / 255 - mean[0]) / std[0]);
        const shape = [batch, 1, tinySize, tinySize];
        return referencePass(graph, parameters, { images: tensorOf(shape, pixels), labels, trains: true });
      });
      const after = await network.readParameters();
      for (const [name, { values }] of Object.entries(passes[0].statistics)) {
        const want = values.map((_, i) =>
          passes.reduce((sum, { statistics }) => sum + statistics[name].values[i], 0) / measured
        );
        const tolerance = 8 * sumTolerance(batch * 64, Math.max(1, maxAbs(want)));
        assertClose(after.get(name)!, want, { tolerance, name: `${path} ${name} over ${measured}` });
      }
      const others = [...before].filter(([name]) => !name.includes("running"));
      assert(others.length > 3);
      for (const [name, values] of others) assertEquals(after.get(name), values, name);
    }
  });
}

Deno.test("recalibrate() leaves a network without batch norm alone", async () => {
  using bench = openWorkbench(await deviceOf(), { graph: tinyGraph() });
  const before = await bench.network.readParameters();
  assertEquals(await recalibrate(bench.network, bench.train, { ...bench, batch, seed }), 0);
  assertEquals(await bench.network.readParameters(), before);
});

Deno.test("train() recalibrates averaged values as it was told", async () => {
  const settings = {
    epochs: 2,
    batch,
    learningRate: .05,
    optimizer: sgd(),
    seed,
    schedule: averagedSchedule,
  } as const;
  const varied = { augmentation: "flip-crop", cutout: 3 } as const;
  const statisticsAfter = async (recalibration: "none" | "plain" | "augmented") => {
    using bench = openWorkbench(await deviceOf(), { graph, batch });
    const { network, choose, slots } = bench;
    await train(network, bench.train, { ...settings, ...varied, recalibration, choose, slots });
    const trained = await network.readParameters();
    const own = recalibration === "augmented" ? varied : {};
    await recalibrate(network, bench.train, { batch, seed, ...own, choose, slots });
    return { trained, recalibrated: await network.readParameters() };
  };
  const none = await statisticsAfter("none"), plain = await statisticsAfter("plain");
  const augmented = await statisticsAfter("augmented");
  assertEquals(plain.trained, none.recalibrated);
  assertEquals(augmented.trained, augmented.recalibrated);
  const means = [none.trained, plain.trained, augmented.trained].map((
    named,
  ) => [...named.get("norm2.running_mean")!]);
  assertEquals(new Set(means.map(String)).size, 3, "all three differ");
});
