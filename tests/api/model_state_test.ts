import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Model } from "../../src/api/model.ts";
import type { ModelState } from "../../src/api/model_options.ts";
import { ConfigError, ShapeError } from "../../src/errors.ts";
import { parseGraph } from "../../src/model/graph.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const dataset = tinyDataset(), { input, layers } = tinyGraph();
const graph = parseGraph({
  name: "normed",
  input,
  layers: [layers[0], { kind: "batchnorm2d", name: "norm" }, ...layers.slice(1)],
}, "a test");

Deno.test("Model.restore() removes at once what the masks remove", async () => {
  using model = new Model(await deviceOf(), graph, { task: dataset, seed: 3 });
  const { parameters, masks } = await model.state(), before = [...parameters.get("conv2.weight")!];
  const conv2 = masks.get("conv2.weight")!.map((_, i) => i % 3 === 0 ? 0 : 1);
  model.restore({ parameters, masks: new Map([...masks, ["conv2.weight", conv2]]) });
  const now = await model.state(), [masked, full] = [now.parameters, parameters];
  assertEquals([...masked.get("conv2.weight")!], before.map((value, i) => conv2[i] === 0 ? 0 : value));
  assertEquals([...full.get("conv2.weight")!], before, "what was given stays");
  const { loss } = await model.evaluate(dataset.test);
  const none = new Map([...masks].map(([name, mask]) => [name, mask.map(() => 0)]));
  model.restore({ parameters, masks: none });
  const empty = await model.evaluate(dataset.test);
  assert(empty.loss !== loss);
  assertEquals(new Set(empty.predictions).size, 1, "all examples look alike");
  model.restore(now);
  assertEquals(await model.state(), now);
});

Deno.test("Model.restore() takes masks of biases, and keeps the sign of a zero", async () => {
  using model = new Model(await deviceOf(), graph, { task: dataset, seed: 3 });
  const { parameters, masks } = await model.state(), conv1 = parameters.get("conv1.weight")!.slice();
  conv1[2] = -0;
  const mask = masks.get("conv1.weight")!.map((_, i) => i === 2 ? 0 : 1), bias = Float32Array.of(1, 0, 1, 1);
  model.restore({
    parameters: new Map([...parameters, ["conv1.weight", conv1]]),
    masks: new Map([["conv1.weight", mask], ["conv1.bias", bias]]),
  });
  const state = await model.state();
  assert(Object.is(state.parameters.get("conv1.weight")![2], -0));
  assertEquals([state.parameters.get("conv1.bias")![1], [...state.masks.get("conv1.bias")!]], [0, [...bias]]);
});

Deno.test("Model.restore() refuses names, sizes and values that are not the model's, and replaces nothing", async () => {
  using model = new Model(await deviceOf(), graph, { task: dataset, seed: 3 });
  using other = new Model(await deviceOf(), tinyGraph({ conv1: 4, conv2: 6, fc1: 7 }), { task: dataset });
  const before = await model.state(), state = await other.state();
  const without = (name: string) => new Map([...before.parameters].filter(([key]) => key !== name));
  const values = (name: string, change: (values: Float32Array) => ArrayLike<number>) => {
    const changed = change(before.parameters.get(name)!.slice());
    return { parameters: new Map([...before.parameters, [name, changed as Float32Array]]) };
  };
  const at = (i: number, value: number) => (all: Float32Array) => all.with(i, value);
  const masks = (name: string, mask: Float32Array) => ({ masks: new Map([...before.masks, [name, mask]]) });
  const long = before.masks.get("fc1.weight")!.length;
  const cases: readonly (readonly [Partial<ModelState>, typeof ShapeError | typeof ConfigError, string])[] = [
    [state, ShapeError, 'Cannot restore parameter "norm.weight": it is missing, expected shape (4)'],
    [
      values("conv2.weight", () => new Float32Array(216)),
      ShapeError,
      'Cannot restore parameter "conv2.weight": 216 values, expected 180 as (5, 4, 3, 3)',
    ],
    [
      { parameters: without("norm.weight") },
      ShapeError,
      'parameter "norm.weight": it is missing, expected shape (4)',
    ],
    [
      { parameters: new Map([...before.parameters, ["conv9.bias", new Float32Array(4)]]) },
      ShapeError,
      'Cannot restore parameter "conv9.bias": the model has none of that name',
    ],
    [values("fc2.bias", (all) => all.slice(1)), ShapeError, '"fc2.bias": 3 values, expected 4 as (4)'],
    [values("fc2.bias", at(1, NaN)), ConfigError, 'parameter "fc2.bias[1]": NaN, expected a finite number'],
    [values("fc2.bias", at(3, -Infinity)), ConfigError, '"fc2.bias[3]": -Infinity'],
    [values("fc2.bias", () => [0, 0, 1e300, 0]), ConfigError, '"fc2.bias[2]": 1e+300'],
    [
      values("norm.running_var", at(2, -1)),
      ConfigError,
      '"norm.running_var[2]": -1, expected a finite number, at least 0',
    ],
    [masks("fc1.weights", new Float32Array(long)), ShapeError, 'Cannot restore mask of "fc1.weights"'],
    [
      masks("norm.running_mean", new Float32Array(4)),
      ShapeError,
      'mask of "norm.running_mean": the model has none',
    ],
    [
      masks("fc1.weight", new Float32Array(3)),
      ShapeError,
      `mask of "fc1.weight": 3 values, expected ${long}`,
    ],
    [
      masks("fc1.weight", new Float32Array(long).fill(1).with(5, 0.5)),
      ConfigError,
      'mask of "fc1.weight[5]": 0.5, expected 0 or 1',
    ],
  ];
  for (const [changes, kind, says] of cases) {
    assertThrows(() => model.restore({ ...before, ...changes }), kind, says);
    assertEquals(await model.state(), before);
  }
});

Deno.test("methods of a model name the option that is not possible", async () => {
  const gpu = await deviceOf();
  using model = new Model(gpu, graph, { task: dataset, seed: 3 });
  const { train, test } = dataset, scoring = { examples: 96 };
  const finetune = () => Promise.resolve();
  const pruning = { ...scoring, calibration: test, test, finetune };
  const refitting = { calibration: test, sparsity: 0.5 };
  const attempts: Readonly<Record<string, (value: never) => Promise<unknown> | unknown>> = {
    "make model with seed": (seed) => new Model(gpu, graph, { task: dataset, seed }),
    "make model with evaluationBatch": (evaluationBatch) =>
      new Model(gpu, graph, { task: dataset, evaluationBatch }),
    "train with epochs": (epochs) => model.train(train, { epochs }),
    "train with batch": (batch) => model.train(train, { batch }),
    "train with accumulate": (accumulate) => model.train(train, { accumulate }),
    "train with learningRate": (learningRate) => model.train(train, { learningRate }),
    "train with seed": (seed) => model.train(train, { seed }),
    "train with labelSmoothing": (labelSmoothing) => model.train(train, { labelSmoothing }),
    "train with cutout": (cutout) => model.train(train, { cutout }),
    "train with mixup": (mixup) => model.train(train, { mixup }),
    "train with firstEpoch": (firstEpoch) => model.train(train, { firstEpoch }),
    "train with stepsPerReading": (stepsPerReading) => model.train(train, { stepsPerReading }),
    "train with optimizer.weightDecay": (weightDecay) =>
      model.train(train, { optimizer: { kind: "sgd", momentum: 0, nesterov: false, weightDecay } }),
    "train with optimizer.momentum": (momentum) =>
      model.train(train, { optimizer: { kind: "sgd", momentum, nesterov: false, weightDecay: 0 } }),
    "train with earlyStopping.patience": (patience) =>
      model.train(train, { earlyStopping: { patience, measure: "loss" }, validation: test }),
    "recalibrate with batch": (batch) => model.recalibrate(train, { batch }),
    "recalibrate with seed": (seed) => model.recalibrate(train, { seed }),
    "recalibrate with maxBatches": (maxBatches) => model.recalibrate(train, { maxBatches }),
    "score with examples": (examples) => model.score(test, { examples }),
    "score with seed": (seed) => model.rescore({ ...scoring, seed }),
    "score with temperature": (temperature) => model.confidence(test, { ...scoring, temperature }),
    "prune with rounds": (rounds) => model.prune(0.5, { ...pruning, rounds }),
    "prune with allowedDrop": (allowedDrop) => model.prune(0.5, { ...pruning, allowedDrop }),
    "prune with goal.sparsity": (sparsity) => model.prune({ sparsity }, pruning),
    "prune with goal.max": (max) => model.prune({ cost: "bytes", max }, pruning),
    "prune with goal.threshold": (threshold) => model.prune({ threshold }, pruning),
    "refit weights with images": (images) => model.pruneWithRefit({ ...refitting, images }),
    "refit weights with damping": (damping) => model.pruneWithRefit({ ...refitting, damping }),
    "refit weights with seed": (seed) => model.pruneWithRefit({ ...refitting, seed }),
    "refit weights with batch": (batch) => model.refit({ calibration: test, remove: finetune, batch }),
    "refit weights with memoryBytes": (memoryBytes) =>
      model.refit({ calibration: test, remove: finetune, memoryBytes }),
    "remove weights with floor": (floor) => model.remove(1, { floor }),
  };
  await model.score(test, { ...scoring, by: "magnitude" });
  const before = await model.state();
  for (const [what, attempt] of Object.entries(attempts)) {
    const [, act, thing] = what.match(/^(.*) (\S+)$/)!;
    for (const value of [NaN, -1, Infinity, "3"]) {
      const says = `Cannot ${act} "${thing}": ${
        JSON.stringify(value) === "null" ? value : JSON.stringify(value)
      }, expected`;
      await assertRejects(async () => await attempt(value as never), ConfigError, says);
    }
  }
  const whole = [
    "seed",
    "batch",
    "epochs",
    "rounds",
    "images",
    "cutout",
    "firstEpoch",
    "patience",
    "evaluationBatch",
  ];
  const attemptsOf = (names: readonly string[]) => {
    const found = Object.entries(attempts).filter(([what]) => names.some((name) => what.endsWith(name)));
    assert(found.length >= names.length, `${found.length} for ${names}`);
    return found.map(([, attempt]) => attempt);
  };
  for (const attempt of attemptsOf(whole)) {
    await assertRejects(async () => await attempt(1.5 as never), ConfigError, "expected a whole number");
  }
  for (const attempt of attemptsOf(["seed"])) {
    await assertRejects(async () => await attempt(2 ** 32 as never), ConfigError, "at most 4294967295");
  }
  await assertRejects(
    () => model.prune(1, pruning),
    ConfigError,
    '"goal.sparsity": 1, expected a finite number',
  );
  const words: readonly (readonly [() => Promise<unknown>, string])[] = [
    [
      () => model.score(test, { ...scoring, by: "sharpe" as never }),
      'score with "by": "sharpe"',
    ],
    [
      () => model.score(test, { ...scoring, prior: "flat" as never }),
      '"prior": "flat", expected matched, evidence',
    ],
    [
      () => model.score(test, { ...scoring, fisher: 3 as never }),
      '"fisher": 3, expected batch, example, sampled',
    ],
    [() => model.train(train, { augmentation: "turn" as never }), '"augmentation": "turn"'],
    [() => model.prune(0.5, { ...pruning, schedule: "soon" as never }), '"schedule": "soon"'],
    [() => model.prune(0.5, { ...pruning, finetune: train as never }), '"finetune": Object'],
    [() => model.encode("zip" as never), 'Cannot encode model "store": "zip", expected dense, sparse'],
  ];
  for (const [attempt, says] of words) await assertRejects(attempt, ConfigError, says);
  for (
    const [task, says] of [
      [
        { ...dataset, mean: [] },
        '"task.mean": [], expected 1 number for the channel, from -1000000 to 1000000',
      ],
      [{ ...dataset, mean: [NaN] }, '"task.mean": [NaN], expected 1 number'],
      [
        { ...dataset, std: [0] },
        '"task.std": [0], expected 1 number for the channel, from 0.000001 to 1000000',
      ],
      // Finite, but F32 cannot hold what it comes to.
      [{ ...dataset, std: [1e-300] }, '"task.std": [1e-300]'],
      [{ ...dataset, mean: [1e300] }, '"task.mean": [1e+300]'],
    ] as const
  ) {
    assertThrows(() => new Model(gpu, graph, { task }), ShapeError, says);
  }
  assertEquals(await model.state(), before);
});
