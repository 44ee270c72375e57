/** What methods of a model do with splits that are not what their interface says, and with arrays that change. */
import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { Model } from "../../src/api/model.ts";
import type { ImageSplit, Split } from "../../src/data/split.ts";
import { ShapeError } from "../../src/errors.ts";
import { deviceOf } from "../helpers/devices.ts";
import { shardFiles, watchedReader } from "../helpers/shard_files.ts";
import { openShards } from "../../src/data/shards.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset, tinySplit } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const dataset = tinyDataset(), { pixels, labels } = tinySplit(20, 3), good = { pixels, labels, count: 20 };
const scoring = { examples: 96 };

/** Splits that are not what their interface says, and what is said of each. */
const wrong: Readonly<Record<string, readonly [split: unknown, says: string]>> = {
  "none": [undefined, '": undefined, expected a split of images'],
  "no examples": [
    { pixels: pixels.slice(0, 0), labels: labels.slice(0, 0), count: 0 },
    '.count": 0, expected',
  ],
  "a negative count": [{ ...good, count: -1 }, '.count": -1, expected a whole number of at least 1'],
  "a fraction": [{ ...good, count: 2.5 }, '.count": 2.5, expected'],
  "a count that is no number": [{ ...good, count: NaN }, '.count": NaN, expected'],
  "a count as text": [{ ...good, count: "20" }, '.count": "20", expected'],
  "too large a count": [{ ...good, count: 500 }, '.labels": 20 labels, expected 500, as count says'],
  "too few labels": [{ ...good, labels: labels.slice(0, 5) }, '.labels": 5 labels, expected 20'],
  "too many labels": [
    { ...good, count: 10, pixels: pixels.slice(0, 640) },
    '.labels": 20 labels, expected 10',
  ],
  "too few pixels": [
    { ...good, pixels: pixels.slice(0, 640) },
    '.pixels": 640 bytes, expected 1280 as (N, C, H, W) = (20, 1, 8, 8)',
  ],
  "too many pixels": [
    { pixels: new Uint8Array(20 * 65), labels, count: 20 },
    '.pixels": 1300 bytes, expected 1280',
  ],
  "images of another size": [{ ...good, pixels: new Uint8Array(20 * 3 * 64) }, '.pixels": 3840 bytes'],
  "pixels as floats": [
    { ...good, pixels: new Float32Array(1280) },
    '.pixels": Float32Array of 1280, expected',
  ],
  "pixels as an array": [{ ...good, pixels: [...pixels] }, '.pixels": Array of 1280, expected a Uint8Array'],
  "no pixels": [{ labels, count: 20 }, '.pixels": undefined, expected a Uint8Array'],
  "labels as an array": [{ ...good, labels: [...labels] }, '.labels": Array of 20, expected a Uint8Array or'],
  "a label of no class": [
    { ...good, labels: labels.map((label, i) => i === 7 ? 4 : label) },
    '.labels[7]": 4, expected a class of 0 to 3',
  ],
};

Deno.test("Model refuses splits that are not what their interface says, by the argument and its part", async () => {
  const gpu = await deviceOf();
  using model = new Model(gpu, tinyGraph(), { task: dataset });
  const start = gpu.allocatedBytes, before = await model.state();
  const finetune = () => Promise.resolve(), goal = { sparsity: 0.5 };
  const uses: Readonly<Record<string, (split: Split) => Promise<unknown>>> = {
    split: (split) => model.evaluate(split),
    calibration: (split) => model.score(split, scoring),
    examples: (split) => model.compact(split),
    validation: (validation) =>
      model.train(good, { validation, earlyStopping: { patience: 0, measure: "loss" } }),
  };
  const others: readonly ((split: Split) => Promise<unknown>)[] = [
    (split) => model.predict(split),
    (split) => model.train(split),
    (split) => model.recalibrate(split),
    (split) => model.confidence(split, scoring),
    (split) => model.score(split, { ...scoring, by: "magnitude" }),
    (calibration) => model.pruneWithRefit({ calibration, sparsity: 0.5 }),
    (calibration) => model.refit({ calibration, remove: finetune }),
  ];
  const pruned: Readonly<Record<string, (split: Split) => Promise<unknown>>> = {
    calibration: (calibration) => model.prune(goal, { ...scoring, calibration, test: good, finetune }),
    test: (test) => model.prune(goal, { ...scoring, calibration: good, test, finetune }),
    train: (train) => model.prune(goal, { ...scoring, calibration: good, train, finetune }),
    validation: (validation) => model.prune(goal, { ...scoring, calibration: good, validation, finetune }),
  };
  for (const [argument, use] of Object.entries(pruned)) {
    const [split, says] = wrong["a label of no class"];
    const error = await assertRejects(() => use(split as Split), ShapeError, says);
    assertEquals(error.message.startsWith(`Cannot use examples "${argument}`), true, error.message);
  }
  await assertRejects(
    () => model.prune(goal, { ...scoring, finetune } as never),
    ShapeError,
    'Cannot use examples "calibration": undefined',
  );
  let refused = 0;
  for (const [split, says] of Object.values(wrong)) {
    for (const [argument, use] of Object.entries(uses)) {
      // Validation examples may be left out.
      if (split === undefined && argument === "validation") continue;
      refused++;
      const error = await assertRejects(() => use(split as Split), ShapeError, says);
      assertEquals(error.message.startsWith(`Cannot use examples "${argument}`), true, error.message);
    }
  }
  assertEquals(refused, Object.keys(wrong).length * Object.keys(uses).length - 1);
  for (const use of others) {
    const [split, says] = wrong["a label of no class"];
    await assertRejects(() => use(split as Split), ShapeError, says);
  }
  assertThrows(
    () => model.keepOnDevice(good, wrong["a fraction"][0] as Split),
    ShapeError,
    '"splits[1].count"',
  );
  assertThrows(() => model.footprint(wrong["too few labels"][0] as Split), ShapeError, "5 labels");
  assertEquals(gpu.allocatedBytes - start < 1000, true, "what was refused left nothing");
  assertEquals(await model.state(), before);
});

Deno.test("Model takes views, memory shared with other threads and wide labels for what they hold", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset, seed: 1 });
  const want = await model.evaluate(good);
  const padded = new Uint8Array(pixels.length + 9),
    shared = new Uint8Array(new SharedArrayBuffer(pixels.length));
  padded.set(pixels, 3);
  shared.set(pixels);
  const sharedLabels = new Uint8Array(new SharedArrayBuffer(20));
  sharedLabels.set(labels);
  const alike: readonly ImageSplit[] = [
    { ...good, pixels: padded.subarray(3, 3 + pixels.length) },
    { pixels: shared, labels: sharedLabels, count: 20 },
    { ...good, labels: Uint16Array.from(labels) },
  ];
  for (const split of alike) assertEquals(await model.evaluate(split), want);
});

Deno.test("Model refuses streamed splits of other images, other records than there are, and more classes", async () => {
  const entries = Object.entries(shardFiles(dataset, { shardRows: 30 }));
  const files = memoryFiles(Object.fromEntries(entries.map(([name, bytes]) => [`d/${name}`, bytes])));
  const { open } = watchedReader(files.entries);
  const { test } = await openShards({ files, folder: "d", openReader: open });
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset });
  await model.evaluate(test);
  const refuse = (changes: object, says: string) =>
    assertRejects(() => model.evaluate({ ...test, ...changes }), ShapeError, says);
  await refuse({ count: 39 }, '"split.count": 39, expected 40, the records of its runs');
  await refuse({ count: 0 }, '"split.count": 0');
  await refuse({ layout: { ...test.layout, imageBytes: 65 } }, '"split.layout.imageBytes": 65, expected 64');
  await refuse(
    { layout: { ...test.layout, classes: 5 } },
    '"split.layout.classes": 5, expected at most the 4',
  );
  await refuse(
    { runs: [{ shard: 0, first: 10, count: 30 }] },
    '"split.runs[0]": records 10 to 39 of shard 0',
  );
  await refuse({ runs: [{ shard: 7, first: 0, count: 1 }] }, "of shard 7, expected some of its 0");
});

Deno.test("Model refits and compacts on streamed splits as on resident ones", async () => {
  const entries = Object.entries(shardFiles(dataset, { shardRows: 30 }));
  const files = memoryFiles(Object.fromEntries(entries.map(([name, bytes]) => [`d/${name}`, bytes])));
  const { open, record } = watchedReader(files.entries);
  const streamed = await openShards({ files, folder: "d", openReader: open });
  const gpu = await deviceOf(), results = [], requests: number[] = [];
  for (const { train, test } of [dataset, streamed]) {
    using model = new Model(gpu, tinyGraph(), { task: dataset, seed: 1 });
    await model.score(dataset.test, { ...scoring, by: "magnitude" });
    await model.refit({ calibration: train, images: 40, remove: () => model.remove(90) });
    const refit = await model.state();
    await model.score(dataset.test, { ...scoring, by: "magnitude" });
    await model.remove(150, { granularity: "channel" });
    const before = record.requests.length, compacted = await model.compact(test);
    requests.push(record.requests.length - before);
    results.push({ refit, compacted, state: await model.state() });
  }
  assertEquals(results[1], results[0]);
  assert(requests[0] === 0 && requests[1] > 0, "logits are compared on images");
  assertEquals(record.opened, record.closed);
});

Deno.test("Model sees arrays that were filled anew, and not those of a split that is kept", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset, seed: 1 });
  const fresh = () => ({ pixels: pixels.slice(), labels: labels.slice(), count: 20 });
  const split = fresh(), first = await model.evaluate(split);
  split.pixels.fill(9);
  split.labels.fill(2);
  const again = await model.evaluate(split);
  assertNotEquals(again, first);
  assertEquals(again, await model.evaluate({ ...split }));
  const held = fresh();
  {
    using _kept = model.keepOnDevice(held);
    assertEquals(await model.evaluate(held), first);
    held.pixels.fill(9);
    held.labels.fill(2);
    assertEquals(await model.evaluate(held), first);
  }
  assertEquals(await model.evaluate(held), again);
});

Deno.test("Model keeps nothing of the splits that it met", async () => {
  const gpu = await deviceOf();
  using model = new Model(gpu, tinyGraph(), { task: dataset });
  const meet = async (seed: number) => {
    const split = tinySplit(20, seed);
    await model.evaluate(split);
    await model.score(split, scoring);
    await model.train(split, { epochs: 1, batch: 10 });
    await model.recalibrate(split);
  };
  await meet(0);
  const start = gpu.allocatedBytes;
  for (let seed = 1; seed < 6; seed++) await meet(seed);
  assertEquals(gpu.allocatedBytes, start);
  const first = model.keepOnDevice(good), second = model.keepOnDevice(good);
  await model.evaluate(good);
  const kept = gpu.allocatedBytes;
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  await model.evaluate(good);
  assertEquals([gpu.allocatedBytes, kept > start], [kept, true], "one keeps it still");
  second[Symbol.dispose]();
  assertEquals(gpu.allocatedBytes, start);
});
