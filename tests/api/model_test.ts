import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { loadModel, openModel } from "../../src/api/load_model.ts";
import { Model } from "../../src/api/model.ts";
import { getCore } from "../../src/api/model_core.ts";
import { type ModelPruneOptions, trainDefaults } from "../../src/api/model_options.ts";
import { describeDataset } from "../../src/data/dataset.ts";
import { ConfigError, FileError, FormatError, NumericError, ShapeError } from "../../src/errors.ts";
import { parseGraph } from "../../src/model/graph.ts";
import { sgd } from "../../src/plan/optimizer.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset, tinySplit } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const dataset = tinyDataset();
const options = { epochs: 1, batch: 16, learningRate: 0.05, optimizer: sgd(), seed: 1 };
const scoring = { examples: 96, seed: 0 };

Deno.test("Model.save() and load() give the same evaluation, parameters and masks", async () => {
  const gpu = await deviceOf(), files = memoryFiles(), start = gpu.allocatedBytes;
  {
    using model = new Model(gpu, tinyGraph(), { task: dataset, seed: 5 });
    await model.train(dataset.train, options);
    await model.score(dataset.test, scoring);
    await model.remove(101);
    await model.save("model.safetensors", files);
    using loaded = await Model.load(gpu, "model.safetensors", files);
    assertEquals(await loaded.state(), await model.state());
    assertEquals(await loaded.evaluate(dataset.test), await model.evaluate(dataset.test));
    assertEquals(loaded.graph, model.graph);
    await loaded.save("sparse.safetensors", files, "sparse");
    using sparse = await Model.load(gpu, "sparse.safetensors", files);
    assertEquals(await sparse.evaluate(dataset.test), await model.evaluate(dataset.test));
    assert((await files.read("sparse.safetensors")).length < (await files.read("model.safetensors")).length);
    assertEquals([loaded.task.mean, loaded.task.classes], [dataset.mean, dataset.classes]);
    const kept = await getCore(loaded).pruner.count();
    assertEquals(kept.reduce((sum, layer) => sum + layer.weights - layer.kept, 0), 101);
    // Training goes on with the same mask.
    await loaded.train(dataset.train, options);
    await model.train(dataset.train, options);
    assertEquals(await loaded.state(), await model.state());
    assertEquals(await loaded.encode(), await model.encode());
  }
  assertEquals(gpu.allocatedBytes, start, "a disposed model leaves nothing");
});

Deno.test("Model.load() names a file that is absent or damaged", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  const files = memoryFiles({ "model.safetensors": "no model at all" });
  await assertRejects(() => Model.load(gpu, "absent.safetensors", files), FileError, "absent.safetensors");
  await assertRejects(() => Model.load(gpu, "model.safetensors", files), FormatError, "model.safetensors");
  assertEquals(gpu.allocatedBytes, start);
});

Deno.test("Model() refuses a data set that the graph does not fit, and keeps no memory", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  const refuse = (task: typeof dataset, part: string) =>
    assertThrows(() => new Model(gpu, tinyGraph(), { task }), ShapeError, part);
  refuse({ ...dataset, channels: 3 }, 'Cannot use model "seed": it takes images of 1 x 8 x 8');
  refuse(
    { ...dataset, classes: ["a", "b"] },
    "it gives 4 logits, expected 2, one logit per class of data set tiny",
  );
  assertEquals(gpu.allocatedBytes, start);
});

Deno.test("Model.remove() refuses a count that is not possible, and weights without scores", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset });
  const { prunableCount } = getCore(model).network.layout;
  for (const count of [-1, 0.5, NaN, prunableCount + 1]) {
    await assertRejects(() => model.remove(count), ShapeError, `Cannot remove weights "${count}"`);
  }
  await assertRejects(
    () => model.remove(1),
    ConfigError,
    "they have no scores, expected a call of score() before",
  );
  await model.score(dataset.test, { ...scoring, by: "magnitude" });
  const all = await model.remove(prunableCount);
  assert(all.every(({ kept, channels, emptyChannels }) => kept === 0 && channels === emptyChannels));
});

Deno.test("Model.train() takes batches larger than those of evaluation", async () => {
  const many = describeDataset({ ...dataset, train: tinySplit(300, 4) });
  using model = new Model(await deviceOf(), tinyGraph(), { task: many });
  await model.evaluate(many.train);
  const result = await model.train(many.train, { ...options, batch: 300, epochs: 2 });
  assertEquals(result.steps, 2);
  using small = new Model(await deviceOf(), tinyGraph(), { task: many });
  await small.train(many.train, { ...options, batch: 300, epochs: 2 });
  assertEquals(await small.state(), await model.state());
});

Deno.test("Model.train() trains as trainDefaults says where nothing else is said", async () => {
  const tiny = describeDataset({ ...dataset, train: tinySplit(64, 4) });
  const states = [{}, trainDefaults].map(async (settings) => {
    using model = new Model(await deviceOf(), tinyGraph(), { task: tiny });
    const { steps } = await model.train(tiny.train, settings);
    return [steps, await model.state()];
  });
  const [first, second] = await Promise.all(states);
  assertEquals(first, second);
  assertEquals(first[0], trainDefaults.epochs);
});

Deno.test("Model.train() leaves the last good values where the loss is not finite", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset });
  const before = await model.state();
  await assertRejects(() => model.train(dataset.train, { ...options, learningRate: 1e30 }), NumericError);
  assertEquals(await model.state(), before);
});

Deno.test("Model.prune() goes on from the weights that a model lacks already", async () => {
  const gpu = await deviceOf();
  using model = new Model(gpu, tinyGraph(), { task: dataset });
  const { prunableCount } = getCore(model).network.layout;
  const prune = (goal: { sparsity: number } | { threshold: number }) =>
    model.prune(goal, {
      ...scoring,
      by: "magnitude",
      rounds: 2,
      calibration: dataset.test,
      test: dataset.test,
      finetune: () => Promise.resolve(),
    });
  const half = await prune({ sparsity: 0.5 });
  assertEquals(half.removed, Math.floor(prunableCount / 2));
  // Every weight lies below this, so that each round removes a fifth of what is left.
  const more = await prune({ threshold: 1e9 });
  const first = half.removed + Math.floor(0.2 * (prunableCount - half.removed));
  assertEquals(more.rounds[0].removed, first);
  const kept = more.layers.reduce((sum, layer) => sum + layer.kept, 0);
  assertEquals(prunableCount - kept, more.removed);
});

Deno.test("Model.prune() by a threshold goes on until nothing changes, and keeps the round that validation chooses", async () => {
  const gpu = await deviceOf();
  using model = new Model(gpu, tinyGraph(), { task: dataset, seed: 1 });
  await model.train(dataset.train, { ...options, epochs: 6 });
  const trained = await model.state();
  const rounds: number[] = [];
  const pruning = {
    by: "magnitude",
    calibration: dataset.test,
    test: dataset.test,
    finetune: () => Promise.resolve(),
    onRound: ({ round }: { readonly round: number }) => void rounds.push(round),
  } as const;
  // Without training nothing rises above the threshold again: all that lies below it is gone in the end.
  const whole = await model.prune({ threshold: 0.2 }, pruning);
  assertEquals(whole.end, "fixed point");
  const inUse = gpu.allocatedBytes;
  assert(whole.rounds.length > 3, `${whole.rounds.length} rounds`);
  assertEquals(rounds, whole.rounds.map(({ round }) => round));
  for (const { below, above, outflow, removed } of whole.rounds) {
    assertEquals(below! + above!, getCore(model).network.layout.prunableCount - removed + outflow);
  }
  assertEquals(whole.rounds.at(-1)!.below, 0);
  model.restore(trained);
  const { loss: lossTrained } = await model.evaluate(dataset.test);
  const chosen = await model.prune({ threshold: 0.2 }, {
    ...pruning,
    choosesRound: true,
    validation: dataset.test,
  });
  const limits = [chosen.rounds, chosen.chosenRound].flat();
  assert(chosen.chosenRound !== undefined && chosen.chosenRound < chosen.rounds.length, `${limits}`);
  const kept = chosen.rounds.find(({ round }) => round === chosen.chosenRound);
  assertEquals(chosen.removed, kept?.removed ?? 0);
  const { loss } = await model.evaluate(dataset.test);
  assertEquals(loss, kept?.lossValidation ?? lossTrained);
  assertEquals(await getCore(model).pruner.count(), chosen.layers);
  assertEquals(gpu.allocatedBytes, inUse);
  const refused = model.prune({ threshold: 0.2 }, { ...pruning, choosesRound: true });
  await assertRejects(() => refused, ConfigError, "there are no validation examples");
});

Deno.test("Model.confidence() gives every prunable weight a confidence in [0, 1]", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset });
  const { tensors, layers } = await model.confidence(dataset.test, { examples: 96 });
  const names = ["conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight"];
  assertEquals([...tensors.keys()], names);
  assertEquals(layers.map(({ name }) => name), names);
  for (const { name, histogram, priorPrecision } of layers) {
    const { values: confidences, shape } = tensors.get(name)!;
    assertEquals(confidences.length, shape.reduce((product, size) => product * size, 1));
    assert(confidences.every((confidence) => confidence >= 0 && confidence <= 1));
    const bins = Array(20).fill(0);
    for (const confidence of confidences) bins[Math.min(19, Math.floor(20 * confidence))]++;
    // A confidence at the edge of a bin may be rounded into either.
    const moved = histogram.reduce((sum, count, i) => sum + Math.abs(count - bins[i]), 0);
    assert(moved <= 2, `${name}: ${histogram} and ${bins}`);
    assert(priorPrecision > 0);
  }
});

Deno.test("Model.recalibrate() moves batch norm's statistics alone, the same way every time", async () => {
  const { input, layers } = tinyGraph(), norm = { kind: "batchnorm2d", name: "norm" };
  const graph = parseGraph(
    { name: "normed", input, layers: [layers[0], norm, ...layers.slice(1)] },
    "a test",
  );
  using model = new Model(await deviceOf(), graph, { task: dataset });
  const before = (await model.state()).parameters;
  assertEquals(await model.recalibrate(dataset.train, { batch: 16, maxBatches: 3 }), 3);
  const after = (await model.state()).parameters;
  assertEquals(await model.recalibrate(dataset.train, { batch: 16, maxBatches: 3 }), 3);
  assertEquals((await model.state()).parameters, after, "what was there before does not matter");
  const moved = [...before].filter(([name, values]) => String(values) !== String(after.get(name)));
  assertEquals(moved.map(([name]) => name), ["norm.running_mean", "norm.running_var"]);
  using plain = new Model(await deviceOf(), tinyGraph(), { task: dataset });
  assertEquals(await plain.recalibrate(dataset.train), 0);
});

Deno.test("Model.prune() brings channels to a cost in fours, the same share of each layer, unless told otherwise", async () => {
  const task = tinyDataset(), graph = tinyGraph({ conv1: 16, conv2: 16, fc1: 16 });
  const keptBy = async (more: Partial<ModelPruneOptions>) => {
    using model = new Model(await deviceOf(), graph, { task, seed: 3 });
    const goal = { cost: "parameters", max: 0.3 * getCore(model).network.layout.count } as const;
    const { layers } = await model.prune(goal, {
      ...{ by: "random", seed: 1, examples: 40, granularity: "channel", rounds: 1 },
      ...{ calibration: task.test, test: task.test, finetune: () => Promise.resolve() },
      ...more,
    });
    return layers.slice(0, -1).map(({ channels, emptyChannels }) => channels - emptyChannels);
  };
  const kept = await keptBy({});
  assert(kept.every((channels) => channels >= 4 && channels % 4 === 0), `${kept}`);
  assertEquals(await keptBy({ scope: "layer", roundTo: 4 }), kept);
  const free = await keptBy({ scope: "global", roundTo: 1 });
  assert(free.some((channels) => channels % 4 !== 0), `${free}`);
  const even = await keptBy({ roundTo: 1 });
  assert(Math.max(...even) - Math.min(...even) <= 1, `${even}`);
});

Deno.test("Model.save() refuses a path whose ending names no format, and a sparse ONNX file", async () => {
  const gpu = await deviceOf(), files = memoryFiles();
  using model = new Model(gpu, tinyGraph(), { task: dataset });
  for (const path of ["x.txt", "x", "safetensors", "x.ONNX"]) {
    const says = `Cannot save model "${path}": its ending names no format, expected a name that ends in`;
    await assertRejects(() => model.save(path, files), ConfigError, says);
  }
  const says = 'Cannot save model "x.onnx": ONNX holds all weights, and store is sparse';
  await assertRejects(() => model.save("x.onnx", files, "sparse"), ConfigError, says);
  assertEquals(files.entries.size, 0);
});

Deno.test("Model counts the examples that it was trained on, and asks for them where it was not", async () => {
  const gpu = await deviceOf(), finetune = () => Promise.resolve();
  using model = new Model(gpu, tinyGraph(), { task: dataset, seed: 2 });
  const says = 'Cannot score with "examples": not given, and neither a training nor a file tells';
  await assertRejects(() => model.score(dataset.test), ConfigError, says);
  await assertRejects(() => model.confidence(dataset.test), ConfigError, says);
  const pruning = { calibration: dataset.test, test: dataset.test, finetune };
  await assertRejects(() => model.prune(0.5, pruning), ConfigError, says);
  await model.score(dataset.test, { by: "magnitude" });
  await model.train(dataset.train, options);
  const known = await model.confidence(dataset.test);
  assertEquals(known, await model.confidence(dataset.test, { examples: dataset.train.count }));
  const other = await model.confidence(dataset.test, { examples: 7 });
  assertNotEquals(known.layers, other.layers, "the number counts");
  using copy = model.copy();
  copy.restore(await model.state());
  assertEquals(await copy.confidence(dataset.test), known);
  const files = memoryFiles();
  for (const store of ["dense", "sparse"] as const) {
    await model.save("m.safetensors", files, store);
    using loaded = await Model.load(gpu, "m.safetensors", files);
    assertEquals(loaded.examples, dataset.train.count);
    assertEquals(await loaded.confidence(dataset.test), known, "the file tells");
    const source = { model: "m.safetensors" }, named = { task: { ...dataset, name: "m" } };
    using opened = openModel(gpu, await loadModel(source, { files, task: dataset }), named);
    assertEquals(await opened.confidence(dataset.test), known);
    using told = openModel(gpu, await loadModel(source, { files, task: dataset }), { ...named, examples: 7 });
    assertEquals((await told.confidence(dataset.test)).layers, other.layers, "what the caller says counts");
  }
});
