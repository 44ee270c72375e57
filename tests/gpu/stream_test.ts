import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { bindBuffers } from "../../src/gpu/bind.ts";
import { Model } from "../../src/api/model.ts";
import { type ImageSplit, takeSplit } from "../../src/data/dataset.ts";
import { cutChunks, planBlocks } from "../../src/data/epoch_blocks.ts";
import { openShards } from "../../src/data/shards.ts";
import type { StreamedSplit } from "../../src/data/shards_split.ts";
import { FormatError, ShapeError, StateError } from "../../src/errors.ts";
import { Program } from "../../src/gpu/executor.ts";
import type { Examples, PassOptions } from "../../src/gpu/examples.ts";
import { DeviceImages } from "../../src/gpu/images.ts";
import { readBuffers } from "../../src/gpu/readback.ts";
import { blocksAhead, StreamedImages } from "../../src/gpu/stream.ts";
import { lowerImages } from "../../src/plan/images.ts";
import { countQuads, quadsPerExample } from "../../src/shape.ts";
import { train } from "../../src/train/trainer.ts";
import { sgd } from "../../src/plan/optimizer.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { shardFiles, watchedReader } from "../helpers/shard_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { openWorkbench, tinyGraph } from "../helpers/tiny_network.ts";

const dataset = tinyDataset({ train: 75, test: 41 }), sizes = { chunkRows: 5, blockRows: 12 };
const inOrder: PassOptions = { batch: 8, seed: 1, epoch: 0, shuffle: false, dropLast: false };
const shuffled: PassOptions = { ...inOrder, shuffle: true };

/** The tiny data set as shards of 17 records, and what was asked of its readers. */
async function openTiny() {
  const named = Object.entries(shardFiles(dataset, { shardRows: 17 }));
  const files = memoryFiles(Object.fromEntries(named.map(([name, bytes]) => [`d/${name}`, bytes])));
  const { open, record } = watchedReader(files.entries);
  return { ...await openShards({ files, folder: "d", openReader: open }), files, record };
}

/** The rows of a split in the order in which a streamed pass visits them. */
function rowsOf(split: StreamedSplit, pass: PassOptions): number[] {
  const blocks = [...planBlocks(cutChunks(split, sizes), { ...pass, ...sizes })];
  return blocks.flatMap(({ runs, order }) => {
    const rows = runs.flatMap(({ shard, first, count }) =>
      Array.from({ length: count }, (_, i) => 17 * shard + first + i)
    );
    return [...order].map((place) => rows[place]);
  });
}

/** The batches that examples give in a pass: pixels and labels as the device has them. */
async function batchesOf(examples: Examples, pass: PassOptions) {
  const gpu = await deviceOf(), input = { channels: 1, height: 8, width: 8, taps: 64 };
  using x = gpu.createBuffer("x", 16 * pass.batch * quadsPerExample(input));
  using labels = gpu.createBuffer("labels", 16 * countQuads(pass.batch));
  const own = new Map([["x", x], ["labels", labels]]);
  const handedIn = (name: string) => examples.input(name);
  const bind = bindBuffers("test", {
    input: handedIn,
    tensor: (name) => ({ buffer: own.get(name)!, quads: 0 }),
  });
  const dispatch = lowerImages({ augmentation: "none" }, { batch: pass.batch, input, augments: false });
  using program = await Program.create(gpu, [dispatch], { bind });
  const batches: { x: Uint32Array; labels: Uint32Array }[] = [];
  for await (const rows of examples.batches(pass)) {
    examples.select(rows, bind);
    program.run({ seed: 1 });
    const [pixels, classes] = await readBuffers(gpu, [{ buffer: x }, { buffer: labels }]);
    batches.push({
      x: new Uint32Array(pixels, 0, 4 * quadsPerExample(input) * rows.length),
      labels: new Uint32Array(classes, 0, rows.length),
    });
  }
  return batches;
}

for (const batch of [1, 8, 40, 75]) {
  Deno.test(`StreamedImages gives the batches of a resident split, ${batch} at a time`, async () => {
    const gpu = await deviceOf(), { train, record } = await openTiny();
    using resident = new DeviceImages(gpu, dataset.train, { dataset, batch });
    const start = gpu.allocatedBytes;
    {
      using streamed = new StreamedImages(gpu, train, { dataset, batch, sizes });
      const wanted = await batchesOf(resident, { ...inOrder, batch });
      // Twice, so that blocks read ahead of the second pass are used.
      for (let i = 0; i < 2; i++) assertEquals(await batchesOf(streamed, { ...inOrder, batch }), wanted);
      assertEquals(record.opened, 1);
      const order = Uint32Array.from(rowsOf(train, shuffled));
      const permuted = takeSplit(dataset.train, order);
      using moved = new DeviceImages(gpu, permuted, { dataset, batch });
      const mixed = { ...shuffled, batch, dropLast: true };
      assertEquals(await batchesOf(streamed, mixed), await batchesOf(moved, { ...mixed, shuffle: false }));
      assertNotEquals([...order], [...order].sort((a, b) => a - b));
    }
    assertEquals([gpu.allocatedBytes, record.opened, record.closed], [start, 1, 1]);
  });
}

Deno.test("StreamedImages reads ahead, over the end of an epoch too, and never more than its share", async () => {
  const gpu = await deviceOf(), { train, record } = await openTiny();
  using streamed = new StreamedImages(gpu, train, { dataset, batch: 8, sizes });
  const blocks = [...planBlocks(cutChunks(train, sizes), { ...shuffled, ...sizes })].length;
  const start = gpu.allocatedBytes;
  for (let epoch = 0; epoch < 5; epoch++) {
    let uploaded = epoch * blocks;
    for await (const _ of streamed.batches({ ...shuffled, epoch })) {
      const ahead = record.requests.length - uploaded;
      if (ahead > blocksAhead) uploaded += ahead - blocksAhead;
      assertEquals(record.requests.length, uploaded + blocksAhead);
    }
    assertEquals(uploaded, (epoch + 1) * blocks);
  }
  assert(record.maxOutstanding <= blocksAhead, `${record.maxOutstanding} blocks at a time`);
  assertEquals(record.memories.size, blocksAhead, "memory serves again");
  assertEquals(gpu.allocatedBytes, start);
});

Deno.test("StreamedImages starts a pass anew where one was left", async () => {
  const gpu = await deviceOf(), { train } = await openTiny();
  using streamed = new StreamedImages(gpu, train, { dataset, batch: 8, sizes });
  const wanted = await batchesOf(streamed, shuffled);
  for (const steps of [1, 4, 9]) {
    let step = 0;
    for await (const _ of streamed.batches(shuffled)) if (++step === steps) break;
    assertEquals(await batchesOf(streamed, shuffled), wanted);
  }
  await assertRejects(() => batchesOf(streamed, { ...inOrder, batch: 76, dropLast: true }), ShapeError);
});

Deno.test("StreamedImages and DeviceImages begin a pass at a step, of several batches", async () => {
  const gpu = await deviceOf(), { train } = await openTiny();
  using streamed = new StreamedImages(gpu, train, { dataset, batch: 8, sizes });
  using resident = new DeviceImages(gpu, dataset.train, { dataset, batch: 8 });
  for (const examples of [streamed, resident]) {
    // 75 rows are nine batches, of which the ninth fills no step of two.
    const whole = (await batchesOf(examples, { ...shuffled, dropLast: true })).slice(0, 8);
    for (const from of [0, 1, 3, 4]) {
      const rest = await batchesOf(examples, { ...shuffled, perStep: 2, from, dropLast: true });
      assertEquals(rest, whole.slice(2 * from), `from ${from}`);
    }
  }
});

/** A resident split whose passes are those of a streamed one. */
class ReorderedImages extends DeviceImages {
  constructor(gpu: Awaited<ReturnType<typeof deviceOf>>, readonly streamed: StreamedSplit) {
    super(gpu, dataset.train as ImageSplit, { dataset, batch: 8 });
  }

  override batches(pass: PassOptions): Uint32Array[] {
    const rows = rowsOf(this.streamed, pass), batches = Math.floor(rows.length / pass.batch);
    return Array.from(
      { length: batches },
      (_, i) => Uint32Array.from(rows.slice(i * pass.batch, (i + 1) * pass.batch)),
    );
  }
}

Deno.test("train() gives the bits that a resident split gives in the same order", async () => {
  const gpu = await deviceOf(), { train: split } = await openTiny();
  const settings = { epochs: 3, batch: 8, learningRate: 0.05, optimizer: sgd(), seed: 3 };
  const trained = async (examples: Examples) => {
    using bench = openWorkbench(gpu);
    const { choose, slots } = bench;
    await train(bench.network, examples, { ...settings, augmentation: "flip-crop", choose, slots });
    return await bench.network.readParameters();
  };
  using streamed = new StreamedImages(gpu, split, { dataset, batch: 8, sizes });
  using resident = new ReorderedImages(gpu, split);
  assertEquals(await trained(streamed), await trained(resident));
});

Deno.test("Model evaluates and scores streamed splits as resident ones", async () => {
  const gpu = await deviceOf(), opened = await openTiny(), start = gpu.allocatedBytes;
  {
    using model = new Model(gpu, tinyGraph(), { task: dataset });
    assertEquals(await model.evaluate(opened.test), await model.evaluate(dataset.test));
    const options = { examples: 75 };
    assertEquals(
      await model.confidence(opened.train, options),
      await model.confidence(dataset.train, options),
    );
  }
  assertEquals([gpu.allocatedBytes, opened.record.closed], [start, opened.record.opened]);
});

Deno.test("train() passes on what reading a shard failed with, and goes on once it is readable", async () => {
  const gpu = await deviceOf(), { train: split, files } = await openTiny();
  using bench = openWorkbench(gpu);
  using streamed = new StreamedImages(gpu, split, { dataset, batch: 8, sizes });
  const { network, choose, slots } = bench;
  const settings = { epochs: 1, batch: 8, learningRate: 0.05, optimizer: sgd(), seed: 3, choose, slots };
  const shard = files.entries.get("d/train-2.bin")!, label = shard[65];
  shard[65] = 9;
  await assertRejects(
    () => train(network, streamed, settings),
    FormatError,
    'Cannot read "d/train-2.bin": label 9',
  );
  shard[65] = label;
  await train(network, streamed, settings);
  const disposed = new StreamedImages(gpu, split, { dataset, batch: 8, sizes });
  disposed[Symbol.dispose]();
  await assertRejects(() => disposed.batches(shuffled).next(), StateError, "it was disposed of");
});
