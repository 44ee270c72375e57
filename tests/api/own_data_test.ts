/** Models of graphs that know their images, and how much of a model is removed. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cifar10 } from "../../src/api/load_data.ts";
import { Model } from "../../src/api/model.ts";
import { LabelledImages } from "../../src/data/labelled_images.ts";
import { ConfigError, FormatError, ShapeError } from "../../src/errors.ts";
import { presetNetwork, resnet20, seedNetwork } from "../../src/model/presets.ts";
import { deviceOf } from "../helpers/devices.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset, tinyDatasetFiles } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const dataset = tinyDataset(), train = new LabelledImages(dataset.train, dataset);

Deno.test("new Model() takes images and classes of a preset's data set, or refuses a graph without any", async () => {
  const gpu = await deviceOf(), { name, channels, height, width, classes, mean, std } = dataset;
  using model = new Model(gpu, seedNetwork(train));
  assertEquals(model.task, { name, channels, height, width, classes, mean, std });
  const says = 'Cannot make model of "seed": neither it nor an option says how its images are normalised';
  const bare = seedNetwork({ channels, height, width, classes: 4 });
  assertThrows(() => new Model(gpu, bare), ConfigError, says);
  assertEquals(JSON.stringify(seedNetwork(train)), JSON.stringify(bare), "files do not hold them");
  assertEquals(resnet20(train), presetNetwork("resnet20", train));
});

Deno.test("Model.sparsity is the fraction of the weights that are removed", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset, seed: 1 });
  const whole = await model.state(), calibration = train;
  assertEquals(model.sparsity, 0);
  await model.prune(0.5, { by: "magnitude", calibration, rounds: 1 });
  const pruned = await model.state();
  const masks = [...pruned.masks.values()].flatMap((mask) => [...mask]);
  const share = masks.filter((kept) => kept === 0).length / masks.length;
  assert(Math.abs(share - 0.5) < 0.01);
  assertEquals(model.sparsity, share);
  model.restore(whole);
  assertEquals(model.sparsity, 0);
  model.restore(pruned);
  assertEquals(model.sparsity, share);
  const remove = () => Promise.reject(new Error("enough"));
  await assertRejects(() => model.refit({ calibration, images: 16, remove }), Error, "enough");
  assertEquals(model.sparsity, share);
});

Deno.test("cifar10() splits CIFAR-10, sets a fifth of few images aside, and takes no other data set", async () => {
  const records = (count: number, first: number) =>
    Uint8Array.from(
      { length: count * 3073 },
      (_, i) => i % 3073 === 0 ? 1 : (first + Math.floor(i / 3073)) % 251,
    );
  const files = memoryFiles({
    ...Object.fromEntries(
      Object.entries(tinyDatasetFiles(dataset)).map(([name, bytes]) => [`d/${name}`, bytes]),
    ),
    "d/cifar-10-batches-bin/data_batch_1.bin": records(20, 0),
    "d/cifar-10-batches-bin/test_batch.bin": records(3, 100),
  });
  const { train, calibration, test } = await cifar10({ folder: "d", files });
  assertEquals([train.count, calibration.count, test.count, train.name], [16, 4, 3, "cifar10"]);
  assertEquals((await cifar10({ folder: "d", files, calibration: 5 })).train.count, 15);
  assertEquals([...new Set(test.images(1, 3))], [101, 102]);
  assertEquals(test.images(2).length, 3072);
  assertThrows(() => test.images(2, 4), ShapeError, '"to": 4, expected a whole number, 2 to 3');
  assertThrows(() => test.images(-1), ShapeError, '"from": -1');
  const digits = memoryFiles(
    Object.fromEntries(
      Object.entries(tinyDatasetFiles(dataset)).map(([name, bytes]) => [`d/${name}`, bytes]),
    ),
  );
  await assertRejects(() => cifar10({ folder: "d", files: digits }), FormatError, "expected CIFAR-10 files");
});
