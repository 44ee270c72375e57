/** Signals end every long call in the state that its documentation states, and progress tells how far each is. */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { getCore } from "../../src/api/model_core.ts";
import { Model } from "../../src/api/model.ts";
import { ConfigError } from "../../src/errors.ts";
import { parseGraph } from "../../src/model/graph.ts";
import type { CallOptions, Progress } from "../../src/train/call_options.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyClasses, tinyDataset, tinySize } from "../helpers/tiny_dataset.ts";

const dataset = tinyDataset(), { train, test } = dataset;
const graph = parseGraph({
  name: "normed",
  input: { channels: 1, height: tinySize, width: tinySize },
  layers: [
    { kind: "conv2d", name: "conv1", outChannels: 8, kernel: 3, padding: 1, bias: false },
    { kind: "batchnorm2d", name: "norm1" },
    { kind: "relu", name: "relu1" },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc1", outFeatures: 12 },
    { kind: "relu", name: "relu2" },
    { kind: "linear", name: "fc2", outFeatures: tinyClasses },
  ],
}, "a test");

const refitting = { calibration: train, images: 24, positions: 4, selectionSteps: 0 };
const finetune = { on: train, epochs: 1, batch: 16, stepsPerReading: 1 };

/** A long call, how many steps it has, and whether ending it leaves parameters and masks as they were. */
interface LongCall {
  readonly run: (model: Model, options: CallOptions) => Promise<unknown>;
  readonly steps: number;
  readonly keepsState: boolean;
}

const remove = (model: Model) => async () => {
  await model.score(train, { by: "magnitude" });
  await model.remove(60);
};

const calls: Readonly<Record<string, LongCall>> = {
  train: {
    run: (model, options) =>
      model.train(train, { epochs: 2, batch: 16, stepsPerReading: 1, ...options } as never),
    steps: 12,
    keepsState: false,
  },
  recalibrate: {
    run: (model, options) => model.recalibrate(train, { batch: 16, ...options }),
    steps: 6,
    keepsState: true,
  },
  score: { run: (model, options) => model.score(train, options), steps: 6, keepsState: true },
  confidence: { run: (model, options) => model.confidence(train, options), steps: 6, keepsState: true },
  evaluate: { run: (model, options) => model.evaluate(train, options), steps: 6, keepsState: true },
  predict: { run: (model, options) => model.predict(train.pixels, options), steps: 6, keepsState: true },
  compact: { run: (model, options) => model.compact(test, options), steps: 2, keepsState: true },
  refit: {
    run: (model, options) => model.refit({ ...refitting, remove: remove(model), ...options }),
    steps: 3,
    keepsState: true,
  },
  pruneWithRefit: {
    run: (model, options) =>
      model.pruneWithRefit({ ...refitting, sparsity: 0.4, stages: [0.2, 0.3, 0.4], ...options }),
    steps: 3,
    keepsState: false,
  },
  prune: {
    run: (model, options) => model.prune(0.5, { calibration: test, rounds: 2, finetune, ...options }),
    steps: 2,
    keepsState: false,
  },
};

async function openModel(): Promise<Model> {
  const model = new Model(await deviceOf(), graph, { task: dataset, seed: 3, evaluationBatch: 16 });
  await model.train(train, { epochs: 1, batch: 16 });
  // Channels that compaction takes out.
  await model.score(train, { by: "magnitude" });
  await model.remove(20, { granularity: "filter" });
  return model;
}

/** Calls that measure a model leave nothing in it that a caller can see. */
async function stateOf(model: Model) {
  return { ...await model.state(), graph: model.graph };
}

/** Weights under the mask are 0, and masks are 0 or 1. */
async function assertConsistent(model: Model) {
  const { parameters, masks } = await model.state();
  for (const [name, mask] of masks) {
    assert(mask.every((keep, i) => keep === 1 || keep === 0 && parameters.get(name)![i] === 0), name);
  }
  await model.evaluate(test);
}

for (const [name, { run, steps, keepsState }] of Object.entries(calls)) {
  Deno.test(`Model.${name}() tells its progress, and ends by a signal in the state that it states`, async () => {
    const gpu = await deviceOf(), reason = new Error("told to stop");
    using model = await openModel();
    const start = await model.state(), before = await stateOf(model);
    await assertRejects(() => run(model, { signal: AbortSignal.abort(reason) }), Error, "told to stop");
    assertEquals(await stateOf(model), before, "ended before it began");
    const told: Progress[] = [];
    const endAtFirst = async () => {
      const ended = new AbortController();
      told.length = 0;
      const onProgress = (progress: Progress) => {
        told.push(progress);
        if (progress.step === 1) ended.abort(reason);
      };
      await assertRejects(() => run(model, { signal: ended.signal, onProgress }), Error, "told to stop");
    };
    await endAtFirst();
    model.restore(start);
    const inUse = gpu.allocatedBytes;
    await endAtFirst();
    assert(told.length <= 2, `it goes on for ${told.length} steps`);
    if (keepsState) assertEquals(await stateOf(model), before, "as it was");
    else assertNotEquals(await stateOf(model), before);
    assertEquals(gpu.allocatedBytes, inUse, "nothing more is left on the device");
    await assertConsistent(model);
    model.restore(start);
    told.length = 0;
    const whole = await run(model, { onProgress: (progress) => told.push(progress) });
    const first = name === "train" ? 1 : 0;
    const want = Array.from({ length: steps + 1 - first }, (_, i) => ({ step: i + first, steps }));
    assertEquals(told.map(({ step, steps }) => ({ step, steps })), want);
    using other = await openModel();
    const same = await run(other, {});
    // Times differ.
    const comparable = (result: unknown) =>
      JSON.stringify(result, (key, value) => key === "seconds" ? 0 : value);
    assertEquals(comparable(whole), comparable(same), "watching changes no result");
    assertEquals(await stateOf(model), await stateOf(other));
  });
}

Deno.test("Model.score() that was ended leaves no gradients to score by, nor do its scores serve", async () => {
  using model = await openModel();
  await model.score(train, { by: "taylor" });
  const ended = new AbortController();
  const onProgress = ({ step }: Progress) => void (step === 2 && ended.abort(new Error("told to stop")));
  const options = { by: "taylor", signal: ended.signal, onProgress } as const;
  await assertRejects(() => model.score(train, options), Error, "told to stop");
  await assertRejects(
    () => model.rescore({ by: "obd" }),
    ConfigError,
    "no gradients were accumulated",
  );
  await model.score(train, { by: "obd" });
  await model.rescore({ by: "taylor" });
});

Deno.test("Model.prune() that was ended goes on by another call, and keeps what was removed", async () => {
  using model = await openModel();
  const ended = new AbortController(), reason = new Error("told to stop");
  const onProgress = ({ step }: Progress) => void (step === 1 && ended.abort(reason));
  const pruning = { calibration: test, rounds: 3, finetune };
  await assertRejects(
    () => model.prune(0.6, { ...pruning, signal: ended.signal, onProgress }),
    Error,
    "told to stop",
  );
  const removedNow = async () =>
    (await getCore(model).pruner.count()).reduce((sum, { weights, kept }) => sum + weights - kept, 0);
  const removed = await removedNow(), { prunableCount } = getCore(model).network.layout;
  assert(removed > 20 && removed < 0.6 * prunableCount, `${removed}`);
  const outcome = await model.prune(0.6, pruning);
  assertEquals(outcome.removed, Math.floor(0.6 * prunableCount));
  assert(outcome.rounds[0].removed >= removed);
});
