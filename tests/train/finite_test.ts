/**
 * Holds what a network says of numbers that are not finite. WGSL's max may make NaN 0, so that neither loss nor logits
 * would tell of a broken filter: weights are checked, and ReLU and pooling pass NaN on.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { NumericError, ShapeError } from "../../src/errors.ts";
import { findNotFinite } from "../../src/gpu/finite.ts";
import type { NamedParameters, Network } from "../../src/gpu/network.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { type Graph, parseGraph } from "../../src/model/graph.ts";
import { sgd } from "../../src/plan/optimizer.ts";
import { compactNetwork } from "../../src/prune/compact/compact_network.ts";
import { Pruner } from "../../src/prune/pruner.ts";
import { Refit } from "../../src/prune/refit/refit_network.ts";
import { openEvaluator } from "../../src/train/evaluate.ts";
import { recalibrate } from "../../src/train/recalibrate.ts";
import { averagedSchedule } from "../../src/train/schedule.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinySize } from "../helpers/tiny_dataset.ts";
import { openWorkbench, type Workbench } from "../helpers/tiny_network.ts";
import { readPaths } from "../kernels/harness.ts";
import { trainTiny } from "./tiny_training.ts";

/** A network whose last layers still compute with what a ReLU makes of a broken channel. */
function normedGraph(momentum = 0.1): Graph {
  return parseGraph({
    name: "normed",
    input: { channels: 1, height: tinySize, width: tinySize },
    layers: [
      { kind: "conv2d", name: "conv1", outChannels: 5, kernel: 3, padding: 1 },
      { kind: "batchnorm2d", name: "bn1", momentum },
      { kind: "relu", name: "relu1" },
      { kind: "flatten", name: "flatten" },
      { kind: "linear", name: "fc", outFeatures: 4 },
    ],
  }, "a test");
}

/** Puts a number into a parameter on the device, where no check of the host sees it. */
async function spoil(network: Network, fullName: string, { at, value }: { at: number; value: number }) {
  const parameter = network.layout.parameters.find((each) => each.fullName === fullName)!;
  const role = parameter.arena, floats = await readFloats(network.gpu, network.arena(role));
  // Both of these parameters have one channel a tap, or one tap.
  const perTap = parameter.channels === 1 ? 4 : 1;
  floats[4 * parameter.offset + at * perTap] = value;
  network.arena(role).write(floats);
}

const broken = [
  { fullName: "conv1.weight", at: 17, value: NaN, message: "conv1.weight[1, 0, 2, 2] is NaN" },
  { fullName: "conv1.weight", at: 40, value: -Infinity, message: "conv1.weight[4, 0, 1, 1] is -Infinity" },
  { fullName: "bn1.weight", at: 2, value: NaN, message: "bn1.weight[2] is NaN" },
  { fullName: "bn1.running_mean", at: 3, value: NaN, message: "bn1.running_mean[3] is NaN" },
  { fullName: "bn1.running_var", at: 4, value: Infinity, message: "bn1.running_var[4] is Infinity" },
  { fullName: "bn1.running_var", at: 0, value: -1, message: "bn1.running_var[0] is -1" },
] as const;

async function evaluateBench({ network, test, choose, slots }: Workbench) {
  using evaluator = await openEvaluator(network, test, { choose, slots });
  return await evaluator.evaluate();
}

/** Runs with each broken number on a network of its own. */
async function forEachBroken(
  visit: (bench: Workbench, each: typeof broken[number]) => Promise<unknown>,
  some: readonly (typeof broken[number])[] = broken,
): Promise<void> {
  for (const each of some) {
    using bench = openWorkbench(await deviceOf(), { graph: normedGraph() });
    await spoil(bench.network, each.fullName, each);
    await assertRejects(() => visit(bench, each), NumericError, each.message);
  }
}

for (const path of readPaths) {
  Deno.test(`evaluate() names weights and statistics that are not finite, which no logit shows, on ${path}`, async () => {
    for (const { fullName, at, value, message } of broken) {
      using bench = openWorkbench(await deviceOf(path), { graph: normedGraph() });
      using evaluator = await openEvaluator(bench.network, bench.test, bench);
      assert((await evaluator.evaluate()).loss > 0);
      await spoil(bench.network, fullName, { at, value });
      const wanted = `Cannot evaluate "normed": ${message}, expected finite numbers`;
      const error = await assertRejects(() => evaluator.evaluate(), NumericError, wanted);
      assertEquals(error.step, undefined);
    }
  });

  Deno.test(`evaluate() refuses logits that overflow where all weights are finite, on ${path}`, async () => {
    using bench = openWorkbench(await deviceOf(path), { graph: normedGraph() });
    const { network } = bench, values = new Map(await network.readParameters());
    network.writeParameters(values.set("fc.weight", values.get("fc.weight")!.fill(3e38)));
    await assertRejects(() => evaluateBench(bench), NumericError, "a logit of examples 0 to ");
  });

  Deno.test(`evaluate() refuses activations that overflow before a ReLU or a maximum, which could hide them, on ${path}`, async () => {
    const conv2 = { kind: "conv2d", name: "conv2", outChannels: 5, kernel: 3, padding: 1 } as const;
    const relu = { kind: "relu", name: "relu2" } as const;
    const pool = { kind: "maxpool2d", name: "pool", kernel: 2, stride: 2 } as const;
    const behind: Record<string, readonly Record<string, unknown>[]> = {
      "fused into a convolution": [conv2, relu],
      "with its norm": [conv2, { kind: "batchnorm2d", name: "bn2" }, relu],
      "and a pool": [conv2, relu, pool],
      "of groups": [{ ...conv2, groups: 5 }, relu],
      "alone": [conv2, { kind: "avgpool2d", name: "mean", kernel: 2, stride: 2 }, relu],
      "of a maximum": [conv2, { ...pool, kernel: 3, padding: 1 }],
      "of a sum": [conv2, { kind: "add", name: "add", inputs: ["conv2", "conv2"] }, relu],
    };
    for (const [name, layers] of Object.entries(behind)) {
      const graph = parseGraph({
        name: "overflowing",
        input: { channels: 1, height: tinySize, width: tinySize },
        layers: [
          { kind: "conv2d", name: "conv1", outChannels: 5, kernel: 3, padding: 1 },
          ...layers,
          { kind: "flatten", name: "flatten" },
          { kind: "linear", name: "fc", outFeatures: 4 },
        ],
      }, "a test");
      using bench = openWorkbench(await deviceOf(path), { graph });
      const { network } = bench, values = new Map(await network.readParameters());
      // Infinities of both signs, whose sums are NaN.
      network.writeParameters(values.set("conv1.weight", values.get("conv1.weight")!.fill(3e38)));
      await assertRejects(() => evaluateBench(bench), NumericError, "a logit of examples 0 to ", name);
    }
  });
}

Deno.test("train() names what was not finite, and puts the last good values back", async () => {
  // A running statistic enters no training step.
  for (const each of broken.filter(({ value }) => !Number.isFinite(value))) {
    using bench = openWorkbench(await deviceOf(), { graph: normedGraph() });
    await spoil(bench.network, each.fullName, each);
    const before = await bench.network.readParameters();
    const wanted = `Cannot train at step "0": `;
    const error = await assertRejects(() => trainTiny(bench), NumericError, wanted);
    assertEquals(error.step, 0);
    // A step spreads what is not finite over the channel.
    assert(
      error.message.startsWith(`${wanted}${each.fullName}[`) || each.fullName === "bn1.weight",
      error.message,
    );
    assertEquals(await bench.network.readParameters(), before);
  }
});

Deno.test("train() finds activations that overflow, by the batch statistics or the loss behind them", async () => {
  for (const name of ["conv1.weight", "fc.weight"]) {
    using bench = openWorkbench(await deviceOf(), { graph: normedGraph() });
    const { network } = bench, values = new Map(await network.readParameters());
    // One filter; a ReLU may make 0 of what it overflows to.
    const size = name === "conv1.weight" ? 9 : 5 * tinySize * tinySize;
    values.set(name, values.get(name)!.map((value, i) => i < size ? -3e38 : value));
    network.writeParameters(values);
    const error = await assertRejects(() => trainTiny(bench), NumericError, "expected finite numbers");
    assertEquals(error.step, 0, name);
  }
});

Deno.test("train() checks the mean that it returns, and the variance that goes with it", async () => {
  for (const role of ["mean", "variance"] as const) {
    using bench = openWorkbench(await deviceOf(), { graph: normedGraph() });
    const { network } = bench, steps = 12;
    let before: NamedParameters | undefined;
    const error = await assertRejects(() =>
      trainTiny(bench, {
        schedule: averagedSchedule,
        keepsVariance: true,
        // Behind the last reading no step looks at what is stored.
        onProgress({ step }) {
          if (step < steps) return;
          const arena = network.arena(role);
          arena.write(new Float32Array(arena.sizeBytes / 4).fill(NaN));
        },
        stepsPerReading: 6,
        checkpoints: {
          isDue: (step) => step === 6,
          save: async () => void (before = await network.readParameters()),
        },
      }), NumericError);
    const wanted = role === "mean" ? "conv1.weight" : "the variance over the steps of conv1.weight";
    const message = `Cannot train at step "11": ${wanted}[0, 0, 0, 0] is NaN, expected finite numbers`;
    assertEquals(error.message.slice(0, message.length), message);
    const after = await network.readParameters();
    assertEquals(await findNotFinite(network, ["values", "statistics"]), undefined);
    assert(String(after.get("conv1.weight")) !== String(before!.get("conv1.weight")), "the last reading's");
  }
});

Deno.test("train() forgets statistics that are not finite where momentum is 1, and keeps them where it is 0", async () => {
  using bench = openWorkbench(await deviceOf(), { graph: normedGraph(1) });
  await spoil(bench.network, "bn1.running_mean", { at: 3, value: NaN });
  await trainTiny(bench);
  assertEquals(await findNotFinite(bench.network, ["values", "statistics"]), undefined);
  using frozen = openWorkbench(await deviceOf(), { graph: normedGraph(0) });
  const before = await frozen.network.readArena("statistics");
  await trainTiny(frozen);
  assertEquals(await frozen.network.readArena("statistics"), before);
});

Deno.test("train() refuses a teacher with weights that are not finite", async () => {
  await forEachBroken(async (teacher) => {
    using bench = openWorkbench(await deviceOf(), { graph: normedGraph() });
    await trainTiny(bench, { teacher: teacher.network, distillation: { share: 0.5, temperature: 2 } });
  });
});

for (const path of readPaths) {
  Deno.test(`recalibrate() leaves finite statistics whatever was there, or those before and an error, on ${path}`, async () => {
    using bench = openWorkbench(await deviceOf(path), { graph: normedGraph() });
    const { network, train, choose, slots } = bench, settings = { batch: 16, seed: 1, choose, slots };
    await recalibrate(network, train, settings);
    const wanted = await network.readArena("statistics");
    for (const [at, value] of [NaN, Infinity, -Infinity].entries()) {
      await spoil(network, "bn1.running_mean", { at, value });
      await spoil(network, "bn1.running_var", { at, value });
      await recalibrate(network, train, settings);
      assertEquals(await network.readArena("statistics"), wanted);
    }
    await spoil(network, "conv1.weight", { at: 17, value: NaN });
    const error = await assertRejects(() => recalibrate(network, train, settings), NumericError);
    assert(error.message.startsWith('Cannot recalibrate "normed": bn1.running_mean[1] is '), error.message);
    assertEquals(await network.readArena("statistics"), wanted);
  });
}

Deno.test("Pruner.accumulate() and score() name what is not finite", async () => {
  await forEachBroken(async ({ network, train, choose, slots }) => {
    using pruner = new Pruner(network);
    await pruner.accumulate(train, { choose, slots });
  });
  using bench = openWorkbench(await deviceOf(), { graph: normedGraph() });
  using pruner = new Pruner(bench.network);
  const { network } = bench, settings = { prior: "matched", examples: 100, seed: 0 } as const;
  await pruner.accumulate(bench.train, bench);
  network.copyArena("values", "mean");
  await pruner.score("obd", settings);
  const fisher = await readFloats(network.gpu, network.arena("fisher"));
  network.arena("fisher").write(fisher.map((value, i) => i === 4 ? NaN : value));
  await assertRejects(
    () => pruner.score("obd", settings),
    NumericError,
    "the Fisher information of conv1.weight[0, 0, 0, 1] is NaN",
  );
  await assertRejects(() => pruner.remove(3), Error, "they have no scores");
  network.arena("fisher").write(fisher.map((value, i) => i === 4 ? -1 : value));
  await assertRejects(() => pruner.score("obd", settings), NumericError, "conv1.weight[0, 0, 0, 1] is -1");
  network.arena("fisher").write(fisher.map((value, i) => i === 4 ? 1e38 : value));
  const values = await readFloats(network.gpu, network.arena("mean"));
  network.arena("mean").write(values.map((value, i) => i === 4 ? 100 : value));
  await assertRejects(
    () => pruner.score("obd", settings),
    NumericError,
    "the score of conv1.weight[0, 0, 0, 1] is Infinity",
  );
  network.arena("mean").write(values.map((value, i) => i === 4 ? NaN : value));
  await assertRejects(
    () => pruner.score("magnitude", settings),
    NumericError,
    "conv1.weight[0, 0, 0, 1] is NaN",
  );
});

Deno.test("Refit.open() and compactNetwork() name what is not finite", async () => {
  await forEachBroken(async ({ network, train }) => (await Refit.open(network, train))[Symbol.dispose]());
  await forEachBroken(async ({ network, train, choose, slots }) =>
    (await compactNetwork(network, train, { choose, slots })).network[Symbol.dispose]()
  );
});

/** A network whose batch norm sees one value per channel and example. */
const pixelGraph = parseGraph({
  name: "onepixel",
  input: { channels: 1, height: tinySize, width: tinySize },
  layers: [
    { kind: "conv2d", name: "conv1", outChannels: 3, kernel: 3, padding: 1 },
    { kind: "globalavgpool2d", name: "gap" },
    { kind: "conv2d", name: "conv2", outChannels: 8, kernel: 1 },
    { kind: "batchnorm2d", name: "bn2" },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 4 },
  ],
}, "a test");

Deno.test("train() and recalibrate() refuse a batch norm that sees one value per channel, by name", async () => {
  const message = 'Cannot train layer "bn2": one value per channel, as batches of 1 ';
  using bench = openWorkbench(await deviceOf(), { graph: pixelGraph });
  const { network, choose, slots } = bench, before = await network.readParameters();
  for (const accumulate of [1, 4]) {
    await assertRejects(
      () => trainTiny(bench, { batch: 1, accumulate, optimizer: sgd() }),
      ShapeError,
      message,
    );
  }
  const settings = { batch: 1, seed: 1, choose, slots };
  await assertRejects(() => recalibrate(network, bench.train, settings), ShapeError, message);
  assertEquals(await network.readParameters(), before);
  await trainTiny(bench, { batch: 2, epochs: 1 });
  assert((await evaluateBench(bench)).loss > 0, "evaluation takes any batch");
  // A layer of more pixels has more values even of one example.
  using wide = openWorkbench(await deviceOf(), { graph: normedGraph() });
  await trainTiny(wide, { batch: 1, epochs: 1, learningRate: 1e-3 });
});
