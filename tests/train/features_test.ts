/** Tests of training towards a teacher's features. */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { ConfigError, ShapeError } from "../../src/errors.ts";
import { Network } from "../../src/gpu/network.ts";
import type { Graph } from "../../src/model/graph.ts";
import { sgd } from "../../src/plan/optimizer.ts";
import type { TrainOptions } from "../../src/train/phase.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinySize } from "../helpers/tiny_dataset.ts";
import { openWorkbench, tinyGraph } from "../helpers/tiny_network.ts";
import { readPaths } from "../kernels/harness.ts";
import { distillationLoss } from "../reference/distillation.ts";
import { featureDistance } from "../reference/features.ts";
import { networkForward } from "../reference/network.ts";
import { tensorOf } from "../reference/tensor.ts";
import { parametersOf, trainTiny } from "./tiny_training.ts";

const distillation = { share: .5, temperature: 2 };

/** Without its hidden layer, so that its features are a map that a pool halves. */
function pooledGraph(name: string, widths: { conv1: number; conv2: number; fc1: number }): Graph {
  const graph = tinyGraph(widths);
  return { ...graph, name, layers: graph.layers.filter((layer) => !["fc1", "relu3"].includes(layer.name)) };
}

/** What training towards another network of the same graph gives. */
async function outcome(
  more: Partial<TrainOptions>,
  { graph = tinyGraph(), teacherSeed = 2 }: { readonly graph?: Graph; readonly teacherSeed?: number } = {},
) {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  const result = await (async () => {
    using bench = openWorkbench(gpu, { graph }), teacher = new Network(gpu, graph, teacherSeed);
    const { loss } = await trainTiny(bench, { teacher, ...more });
    return { loss, values: await bench.network.readParameters() };
  })();
  assertEquals(gpu.allocatedBytes, start);
  return result;
}

for (const path of readPaths) {
  Deno.test(`train() counts the distance from its teacher's features as the reference does, on ${path}`, async () => {
    const gpu = await deviceOf(path);
    using bench = openWorkbench(gpu, { seed: 1 }),
      alike = new Network(gpu, tinyGraph(), 2),
      other = new Network(gpu, tinyGraph({ conv1: 3, conv2: 6, fc1: 7 }), 2);
    const { pixels: images, labels, count } = bench.dataset.train, { mean, std } = bench.dataset;
    const pixels = Float64Array.from(images, (byte) => (byte / 255 - mean[0]) / std[0]);
    const forward = async (network: Network) =>
      networkForward(await parametersOf(network), tensorOf([count, 1, tinySize, tinySize], pixels));
    const featureWeight = 8, state = await bench.network.readParameters();
    const student = await forward(bench.network);
    const cases = [
      { teacher: other, featureMaps: "last", maps: ["relu3"] },
      { teacher: alike, featureMaps: "stages", maps: ["relu1", "relu2", "relu3"] },
    ] as const;
    for (const { teacher, featureMaps, maps } of cases) {
      const taught = await forward(teacher);
      const soft = distillationLoss(student.logits, taught.logits, { ...distillation, labels }).loss;
      const distances = maps.map((map) => featureDistance(student[map], taught[map], featureWeight).loss);
      const distance = distances.reduce((sum, one) => sum + one, 0) / maps.length;
      bench.network.writeParameters(state);
      const { loss } = await trainTiny(bench, {
        epochs: 1,
        batch: count,
        teacher,
        distillation: { ...distillation, featureWeight, featureMaps },
      });
      assert(distance > 1);
      assert(
        Math.abs(loss - soft - distance) < 1e-4,
        `${featureMaps}: ${loss}, expected ${soft} + ${distance}`,
      );
    }
  });
}

Deno.test("train() has nothing to learn from features that are its teacher's already", async () => {
  // One step, after which the student is its teacher no more.
  const whole = { epochs: 1, batch: 96 }, teacherSeed = 0;
  const graphs = [
    { graph: tinyGraph(), isExact: true },
    { graph: pooledGraph("pooled", { conv1: 4, conv2: 5, fc1: 7 }), isExact: false },
  ];
  for (const { graph, isExact } of graphs) {
    const plain = await outcome({ ...whole, distillation }, { graph, teacherSeed });
    const more = { ...whole, distillation: { ...distillation, featureWeight: 4 } };
    const same = await outcome(more, { graph, teacherSeed });
    assertEquals(isExact ? same : same.loss, isExact ? plain : plain.loss);
    assertNotEquals((await outcome(more, { graph })).values, plain.values);
  }
});

Deno.test("train() brings features near to its teacher's, to the same bits for the same seed", async () => {
  const graph = pooledGraph("pooled", { conv1: 4, conv2: 5, fc1: 7 });
  const options = {
    distillation: { share: 1, temperature: 1, featureWeight: 1 },
    optimizer: sgd({ momentum: 0 }),
    augmentation: "flip-crop",
    mixup: .4,
    accumulate: 2,
  } as const;
  const first = await outcome(options, { graph });
  assertEquals(await outcome(options, { graph }), first);
  const later = await outcome({ ...options, epochs: 20 }, { graph });
  assert(later.loss < first.loss / 2, `${later.loss} after ${first.loss}`);
});

Deno.test("train() refuses a teacher of other features, and weights that are none", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  {
    using bench = openWorkbench(gpu),
      teacher = new Network(gpu, tinyGraph({ conv1: 4, conv2: 5, fc1: 9 }), 0);
    await assertRejects(
      () => trainTiny(bench, { teacher, distillation: { ...distillation, featureWeight: 1 } }),
      ShapeError,
      `Cannot learn features from teacher "${teacher.graph.name}": layer relu3 gives 9, expected 7 as layer relu3 of ${bench.network.graph.name} does`,
    );
    for (const featureWeight of [-1, NaN, Infinity]) {
      await assertRejects(
        () => trainTiny(bench, { teacher, distillation: { ...distillation, featureWeight } }),
        ConfigError,
        `"distillation.featureWeight": ${featureWeight}, expected a finite number, at least 0`,
      );
    }
  }
  {
    const [one, other] = [5, 6].map((conv2) => pooledGraph(`of ${conv2}`, { conv1: 4, conv2, fc1: 7 }));
    using bench = openWorkbench(gpu, { graph: one }), teacher = new Network(gpu, other, 0);
    await assertRejects(
      () => trainTiny(bench, { teacher, distillation: { ...distillation, featureWeight: 1 } }),
      ShapeError,
      '"of 6": layer relu2 gives 6 x 4 x 4, expected 5 x 4 x 4 as layer relu2 of of 5 does',
    );
    // Without their features they fit.
    await trainTiny(bench, { teacher, distillation });
  }
  {
    // They agree in what the classifier reads, and not in a map before it.
    const [one, other] = [4, 3].map((conv1) => tinyGraph({ conv1, conv2: 5, fc1: 7 }));
    using bench = openWorkbench(gpu, { graph: one }),
      teacher = new Network(gpu, { ...other, name: "of 3" }, 0);
    const featureWeight = 1;
    await assertRejects(
      () =>
        trainTiny(bench, {
          teacher,
          distillation: { ...distillation, featureWeight, featureMaps: "stages" },
        }),
      ShapeError,
      `"of 3": layer relu1 gives 3 x 8 x 8, expected 4 x 8 x 8 as layer relu1 of ${one.name} does`,
    );
    await trainTiny(bench, { teacher, distillation: { ...distillation, featureWeight } });
    const flat = {
      ...one,
      name: "flat",
      layers: one.layers.filter(({ name }) => !/^(pool1|relu1)$/.test(name)),
    };
    using shallow = new Network(gpu, flat, 0);
    await assertRejects(
      () =>
        trainTiny(bench, {
          teacher: shallow,
          distillation: { ...distillation, featureWeight, featureMaps: "stages" },
        }),
      ShapeError,
      `"flat": maps of 2 sizes, expected 3 as ${one.name} has`,
    );
  }
  assertEquals(gpu.allocatedBytes, start);
});
