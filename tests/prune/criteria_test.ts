/**
 * Holds the estimates of the Fisher information, the tempered posterior and what criteria need against the f64 reference.
 *
 * A gradient here is a chain of sums of less than 400 terms in all, so it is off by at most 400 2^-24 of the largest;
 * scores multiply it at most twice.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fisherCriteria } from "../../src/criterion_names.ts";
import { Model } from "../../src/api/model.ts";
import { getCore } from "../../src/api/model_core.ts";
import { ConfigError } from "../../src/errors.ts";
import type { NamedParameters } from "../../src/gpu/network.ts";
import type { FisherEstimate } from "../../src/prune/score/accumulate.ts";
import { criteria, readsFisher } from "../../src/prune/score/criteria.ts";
import { Pruner } from "../../src/prune/pruner.ts";
import { mixBits } from "../../src/random.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset, tinySize } from "../helpers/tiny_dataset.ts";
import { openWorkbench, tinyGraph } from "../helpers/tiny_network.ts";
import { referencePass, type Tensors } from "../plan/reference_graph.ts";
import { evidencePrior, matchedPrior, signalToNoise } from "../reference/confidence.ts";
import { assertClose, F32_ROUNDOFF, maxAbs, tensorOf } from "../reference/tensor.ts";

const dataset = tinyDataset({ train: 50, test: 8 });
const tolerance = 2 * 400 * F32_ROUNDOFF;

/** The label that the device draws for a row of a batch. */
function drawLabel(logits: Float64Array, { seed, index, row }: { seed: number; index: number; row: number }) {
  const own = Array.from(logits, Math.exp), whole = own.reduce((sum, value) => sum + value);
  const draw = (mixBits(mixBits(mixBits(mixBits(seed)) ^ index) ^ row) >>> 8) / 2 ** 24 * whole;
  let sum = 0;
  return own.findIndex((value) => (sum += value) > draw);
}

/** The Fisher diagonal of every parameter over the whole batches of the training images. */
function referenceFisher(parameters: Tensors, { batch, seed }: { batch: number; seed?: number }) {
  const size = tinySize ** 2, batches = Math.floor(50 / batch), fisher: Record<string, Float64Array> = {};
  for (let b = 0; b < batches; b++) {
    const pixels = Float64Array.from(
      dataset.train.pixels.subarray(b * batch * size, (b + 1) * batch * size),
      (byte) => (byte / 255 - dataset.mean[0]) / dataset.std[0],
    );
    const images = tensorOf([batch, 1, tinySize, tinySize], pixels);
    const pass = (labels: ArrayLike<number>) =>
      referencePass(tinyGraph(), parameters, { images, labels: Array.from(labels), trains: false });
    let labels: ArrayLike<number> = dataset.train.labels.subarray(b * batch, (b + 1) * batch);
    if (seed !== undefined) {
      const { values } = pass(labels).logits;
      labels = Array.from(
        { length: batch },
        (_, row) =>
          drawLabel(Float64Array.from(values.subarray(4 * row, 4 * row + 4)), { seed, index: b, row }),
      );
    }
    for (const [name, { values }] of Object.entries(pass(labels).gradients)) {
      const own = fisher[name] ??= new Float64Array(values.length);
      for (const [i, gradient] of values.entries()) own[i] += batch * gradient ** 2 / batches;
    }
  }
  return fisher;
}

function tensorsOf(values: NamedParameters, shapes: ReadonlyMap<string, readonly number[]>): Tensors {
  return Object.fromEntries([...values].map(([name, v]) => [name, tensorOf([...shapes.get(name)!], v)]));
}

Deno.test("Pruner.accumulate() estimates the Fisher information by batches, examples or sampled labels", async () => {
  using bench = openWorkbench(await deviceOf(), { dataset, seed: 8 });
  const { network, train } = bench;
  using pruner = new Pruner(network);
  network.copyArena("values", "mean");
  const values = await network.readParameters();
  const shapes = new Map(network.layout.parameters.map(({ fullName, shape }) => [fullName, shape]));
  const parameters = tensorsOf(values, shapes), seed = 3;
  const cases: readonly [FisherEstimate, { batch: number; seed?: number }][] = [
    ["batch", { batch: 16 }],
    ["example", { batch: 1 }],
    ["sampled", { batch: 16, seed }],
  ];
  for (const [estimate, how] of cases) {
    await pruner.accumulate(train, { ...bench, estimate, seed });
    const got = await network.readParameters("fisher"), want = referenceFisher(parameters, how);
    for (const [name, wanted] of Object.entries(want)) {
      const allowed = { name: `${estimate} ${name}`, tolerance: tolerance * maxAbs(wanted) };
      assertClose(got.get(name)!, wanted, allowed);
    }
    // T counts as so many times fewer examples, in the evidence too.
    const examples = 200, temperature = 4, name = "conv2.weight", mean = values.get(name)!;
    await pruner.score("confidence", { examples, seed: 0, prior: "evidence", temperature });
    const lowest = 1e-3 * matchedPrior([mean]), exampleCount = examples / temperature;
    const priorPrecision = evidencePrior(mean, want[name], { exampleCount, rounds: 10, lowest });
    const z = signalToNoise(mean, want[name], { exampleCount, priorPrecision });
    const scores = (await network.readParameters("scores")).get(name)!;
    assertClose(scores, z, { name: `${estimate} z`, tolerance: tolerance * maxAbs(z) });
  }
  const scoring = { examples: 1, seed: 0, prior: "matched" } as const;
  await assertRejects(() => pruner.score("taylor", scoring), ConfigError, "those of sampled labels");
  await assertRejects(() => pruner.regrow(2), ConfigError, "those of sampled labels");
  await pruner.score("obd", scoring);
  await assertRejects(() => pruner.score("obd", { ...scoring, temperature: 0 }), ConfigError, "temperature");
});

Deno.test("fisherCriteria are those that need the Fisher information", () => {
  assertEquals(criteria.filter(readsFisher), fisherCriteria);
});

Deno.test("Pruner.score() refuses criteria without what they need", async () => {
  using bench = openWorkbench(await deviceOf(), { dataset });
  using pruner = new Pruner(bench.network);
  const scoring = { examples: 1, seed: 0, prior: "matched" } as const;
  await assertRejects(
    () => pruner.score("snr", scoring),
    ConfigError,
    'Cannot score by "snr": no variance of the weights was kept, expected training with keepsVariance',
  );
  await assertRejects(
    () => pruner.score("bn-scale", scoring),
    ConfigError,
    'Cannot score by "bn-scale": no layer of seed has what it needs, expected another criterion',
  );
  await assertRejects(() => pruner.score("obd", scoring), ConfigError, "no gradients were accumulated");
  await assertRejects(() => pruner.regrow(1), ConfigError, "no gradients were accumulated");
  await assertRejects(() => pruner.remove(1), ConfigError, "they have no scores");
});

Deno.test("Model.train() keeps the variance that criterion snr reads", async () => {
  const gpu = await deviceOf();
  using model = new Model(gpu, tinyGraph(), { task: dataset, seed: 2 });
  await model.train(dataset.train, { epochs: 4, batch: 16, learningRate: 0.05, keepsVariance: true });
  const mean = (await getCore(model).network.readParameters("mean")).get("conv2.weight")!;
  const variance = (await getCore(model).network.readParameters("variance")).get("conv2.weight")!;
  assert(variance.every((value) => value >= 0) && variance.filter((value) => value > 0).length > 20);
  assert(variance.every((value, i) => value <= 1 + mean[i] ** 2));
  await model.score(dataset.train, { by: "snr", examples: 50 });
  const scores = (await getCore(model).network.readParameters("scores")).get("conv2.weight")!;
  const want = Float64Array.from(mean, (mu, i) => Math.abs(mu) / Math.max(Math.sqrt(variance[i]), 1e-20));
  for (const [i, score] of scores.entries()) assert(Math.abs(score - want[i]) <= 20 * F32_ROUNDOFF * want[i]);
  const layers = await model.remove(30);
  assertEquals(layers.reduce((sum, { weights, kept }) => sum + weights - kept, 0), 30);
});
