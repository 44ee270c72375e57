/** `Model.predict` against the f64 reference, `evaluate` and PyTorch's logits. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadModel, openModel } from "../../src/api/load_model.ts";
import { Model } from "../../src/api/model.ts";
import { getCore } from "../../src/api/model_core.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { loadDataset } from "../../src/data/locate.ts";
import { openShards } from "../../src/data/shards.ts";
import type { Split } from "../../src/data/split.ts";
import { NumericError, ShapeError } from "../../src/errors.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { readSafetensors, tensorFloats } from "../../src/io/safetensors.ts";
import { toPredictions } from "../../src/train/predict.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { shardFiles, watchedReader } from "../helpers/shard_files.ts";
import { sharedPath } from "../helpers/shared.ts";
import { tinyClasses, tinyDataset, tinySize } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";
import { readPaths } from "../kernels/harness.ts";
import { referencePass, type Tensors } from "../plan/reference_graph.ts";
import { tensorOf } from "../reference/tensor.ts";

const dataset = tinyDataset(), { test } = dataset, imageBytes = tinySize * tinySize;
/** For logits and probabilities. The sums are of less than 150 terms near 1, whose errors are ten times smaller. */
const tolerance = 1e-4;

function assertNear(got: ArrayLike<number>, want: ArrayLike<number>): void {
  assertEquals(got.length, want.length);
  for (let i = 0; i < got.length; i++) {
    assert(Math.abs(got[i] - want[i]) <= tolerance, `${got[i]}, ${want[i]}`);
  }
}

/** Softmax of rows (N, C), in f64. */
function softmax(logits: ArrayLike<number>, classes: number): number[] {
  return Array.from(logits, (logit, i) => {
    const row = Array.from({ length: classes }, (_, c) => logits[i - i % classes + c]);
    return 1 / row.reduce((sum, other) => sum + Math.exp(other - logit), 0);
  });
}

for (const path of readPaths) {
  Deno.test(`Model.predict() gives the f64 reference's logits, and evaluate's labels, on ${path}`, async () => {
    const gpu = await deviceOf(path);
    // A batch that does not divide the images, and one that is smaller than the split.
    using model = new Model(gpu, tinyGraph(), { task: dataset, seed: 5, evaluationBatch: 16 });
    await model.train(dataset.train, { epochs: 2, batch: 16 });
    const start = gpu.allocatedBytes, { parameters } = await model.state();
    const tensors: Tensors = Object.fromEntries(
      [...parameters].map(([name, values]) => {
        const { shape } = getCore(model).network.layout.parameters.find(({ fullName }) => fullName === name)!;
        return [name, tensorOf(shape, values)];
      }),
    );
    const pixels = Float64Array.from(test.pixels, (byte) => (byte / 255 - dataset.mean[0]) / dataset.std[0]);
    const images = tensorOf([test.count, 1, tinySize, tinySize], pixels);
    const want = referencePass(model.graph, tensors, { images, labels: test.labels, trains: false }).logits;
    const got = await model.predict(test.pixels), { predictions } = await model.evaluate(test);
    assertNear(got.logits, want.values);
    assertNear(got.probabilities, softmax(want.values, tinyClasses));
    assertEquals(got.labels, predictions);
    const each = Array.from(
      got,
      ({ label, probability }, row) =>
        probability === got.probabilities[row * tinyClasses + label] ? label : NaN,
    );
    assertEquals(each, [...predictions], "one by one, too");
    assert(new Set(got.labels).size > 1, "the images are told apart");
    assertEquals(await model.predict(test), got, "labels of a split are not looked at");
    const cut = await model.predict(test.pixels.subarray(3 * imageBytes, 20 * imageBytes));
    assertEquals(cut.labels, predictions.slice(3, 20));
    assertEquals(
      (await model.predict(test.pixels, { count: 1 })).logits,
      (await model.predict(test.pixels.subarray(0, imageBytes))).logits,
    );
    assertEquals((await model.predict(test, { count: 17 })).labels, predictions.slice(0, 17));
    {
      using _kept = model.keepOnDevice(test);
      assertEquals(await model.predict(test), got);
    }
    const nothing = toPredictions(new Float32Array(), tinyClasses);
    assertEquals(await model.predict(new Uint8Array()), nothing);
    assertEquals(await model.predict(test.pixels, { count: 0 }), nothing);
    assert(gpu.allocatedBytes <= start + 2 ** 20, "no images stay on the device");
  });
}

Deno.test("Model.predict() reads a split that stays in its files", async () => {
  const entries = Object.entries(shardFiles(dataset, { shardRows: 30 }));
  const files = memoryFiles(Object.fromEntries(entries.map(([name, bytes]) => [`d/${name}`, bytes])));
  const { open } = watchedReader(files.entries), gpu = await deviceOf();
  const streamed = await openShards({ files, folder: "d", openReader: open });
  using model = new Model(gpu, tinyGraph(), { task: dataset, evaluationBatch: 16 });
  const want = await model.predict(test);
  assertEquals(await model.predict(streamed.test), want);
  assertEquals((await model.predict(streamed.test, { count: 21 })).labels, want.labels.slice(0, 21));
});

Deno.test("Model.predict() refuses images of another size, and logits that are not finite", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset });
  const refuse = (images: unknown, options: object, says: string) =>
    assertRejects(() => model.predict(images as Split, options), ShapeError, says);
  await refuse(
    test.pixels.subarray(1),
    {},
    "2559 bytes, expected a multiple of 64 as (N, C, H, W) = (N, 1, 8, 8)",
  );
  await refuse([...test.pixels], {}, '"images');
  await refuse(undefined, {}, "undefined, expected a Uint8Array (N, C, H, W) or a split");
  await refuse({ ...test, count: 0 }, {}, '"images.count": 0');
  await refuse({ ...test, pixels: test.pixels.subarray(64) }, {}, '"images.pixels"');
  for (const count of [41, -1, 2.5, NaN]) {
    await refuse(test, { count }, `"count": ${count}, expected 0 to 40`);
  }
  const state = await model.state(), values = new Map(state.parameters);
  getCore(model).network.writeParameters(values.set("fc2.bias", Float32Array.of(0, 0, NaN, 0)));
  await assertRejects(() => model.predict(test), NumericError, '"0": logit 2 is NaN');
  const stopped = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => model.predict(test, { signal: stopped }), Error, "enough");
  model.restore(state);
  await model.predict(test);
});

Deno.test("toPredictions() stands logits of any size, and takes the first of equal ones", () => {
  const { probabilities, labels } = toPredictions(Float32Array.of(3e38, -3e38, 0, 2, 5, 5), 3);
  assertEquals([...labels], [0, 1]);
  assertNear(probabilities, [1, 0, 0, ...softmax([2, 5, 5], 3)]);
});

const goldens = sharedPath("goldens/resnet20.safetensors");
Deno.test(
  "Model.predict() gives PyTorch's logits of a ResNet-20",
  { ignore: goldens === undefined },
  async () => {
    const whole = await loadDataset({
      folder: sharedPath("data/cifar-10-batches-bin")!,
      files: denoFiles,
      allowDownload: false,
      note: () => {},
    }) as Dataset;
    const loaded = await loadModel({ model: sharedPath("models/resnet20-cifar10.safetensors")! }, {
      files: denoFiles,
      task: whole,
    });
    using model = openModel(await deviceOf(), loaded, { task: whole });
    const { tensors } = readSafetensors(await Deno.readFile(goldens!), "resnet20");
    const logits = tensorFloats(tensors.get("logits")!, "logits"), count = logits.length / 10;
    const got = await model.predict(whole.test.pixels, { count });
    assertNear(got.probabilities, softmax(logits, 10));
    const { predictions } = await model.evaluate({
      pixels: whole.test.pixels.subarray(0, count * 3072),
      labels: whole.test.labels.subarray(0, count),
      count,
    });
    assertEquals(got.labels, predictions);
  },
);
