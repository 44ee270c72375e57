import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { readCifar10, streamCifar10 } from "../../src/data/cifar10.ts";
import { describeDataset, isStreamed, limitDataset, splitCalibration } from "../../src/data/dataset.ts";
import { loadDataset } from "../../src/data/locate.ts";
import { openShards, parseShardIndex } from "../../src/data/shards.ts";
import { loadStreamed, readLabels } from "../../src/data/shards_load.ts";
import type { StreamedSplit } from "../../src/data/shards_split.ts";
import { checkDistinctFiles } from "../../src/data/distinct_files.ts";
import { readIdx } from "../../src/data/idx.ts";
import { FileError, FormatError } from "../../src/errors.ts";
import type { FilePart, Files } from "../../src/files.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { idxFile } from "../helpers/idx_files.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { shardFiles, watchedReader } from "../helpers/shard_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";

const tiny = tinyDataset({ train: 50, test: 9 });

/** The files in folder `d`, and what opens them. */
function placesOf(named: Readonly<Record<string, Uint8Array>>) {
  const files = memoryFiles(
    Object.fromEntries(Object.entries(named).map(([name, bytes]) => [`d/${name}`, bytes])),
  );
  const { open, record } = watchedReader(files.entries);
  return { places: { files, folder: "d", openReader: open }, record };
}

Deno.test("openShards() opens what shards say, and loadStreamed() reads it back", async () => {
  const { places, record } = placesOf(shardFiles(tiny, { shardRows: 16 }));
  const dataset = await openShards(places);
  assertEquals(record.opened, 0, "nothing is read");
  const { train, test, source, ...rest } = dataset;
  const { train: _, test: __, source: ___, ...wanted } = tiny;
  assertEquals([rest, source], [wanted, "d"]);
  assertEquals([train.count, test.count, train.shards.length], [50, 9, 4]);
  assertEquals(await loadStreamed(train), tiny.train);
  assertEquals(await loadStreamed(test), tiny.test);
  assertEquals(await readLabels(train), tiny.train.labels);
  assertEquals(record.opened, record.closed);
});

Deno.test("openShards(), readCifar10() and readIdx() refuse images that are trained on and tested with", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { open } = watchedReader(new Map());
    const write = async (name: string, bytes: Uint8Array) => await Deno.writeFile(`${folder}/${name}`, bytes);
    const named = shardFiles(tiny, { shardRows: 16 });
    for (const [name, bytes] of Object.entries(named)) await write(name, bytes);
    const places = { files: denoFiles, folder, openReader: open };
    assertEquals((await openShards(places)).test.count, 9);
    // Another name of a training shard.
    await Deno.remove(`${folder}/train-3.bin`);
    await Deno.link(`${folder}/train-0.bin`, `${folder}/train-3.bin`);
    const twice = `train-3.bin": the same file as ${folder}/train-0.bin, which is a file of training already`;
    await assertRejects(() => openShards(places), FormatError, twice);
    // Of shards of one size only samples are read, unless these agree; memory that reads whole files does as well.
    const large = (at: number) => {
      const bytes = new Uint8Array(2 ** 21 + 5 * 4096);
      bytes[at] = 1;
      return bytes;
    };
    const paths = { training: ["a", "b"], test: ["c"] };
    for (
      const [at, isSame] of [[1, false], [2 ** 20 + 6000, true], [5000, false], [2 ** 21 - 1, false]] as const
    ) {
      const entries = { a: large(0), b: large(2 ** 20 + 6000), c: large(at) };
      const parts: number[] = [], memory = memoryFiles(entries);
      const files = {
        ...memory,
        readPart: (path: "a" | "b" | "c", { offset, bytes }: FilePart) => {
          parts.push(bytes);
          return Promise.resolve(entries[path].slice(offset, offset + bytes));
        },
      } as Files;
      for (const own of [memory, files]) {
        const refusal = await checkDistinctFiles(own, paths).then(() => undefined, (error: Error) => error);
        assertEquals(refusal instanceof FormatError, isSame, refusal?.message);
        assertEquals(refusal?.message.includes('"c": of the same content as b, which is') ?? false, isSame);
      }
      assertEquals(Math.max(...parts), at === 1 ? 4096 : 2 ** 20, `${at}`);
    }
    await Deno.remove(`${folder}/train-3.bin`);
    await Deno.copyFile(`${folder}/train-0.bin`, `${folder}/test-0.bin`);
    await write("train-3.bin", named["train-3.bin"]);
    const index = JSON.parse(new TextDecoder().decode(named["dataset.json"]));
    index.shards.test[0].count = 16;
    await write("dataset.json", new TextEncoder().encode(JSON.stringify(index)));
    const copy =
      `Cannot use for test "${folder}/test-0.bin": of the same content as ${folder}/train-0.bin, which is`;
    await assertRejects(() => openShards(places), FormatError, copy);
    for (const name of Object.keys(named)) await Deno.remove(`${folder}/${name}`);
    await write("data_batch_1.bin", new Uint8Array(3073));
    await Deno.symlink(`${folder}/data_batch_1.bin`, `${folder}/test_batch.bin`);
    await assertRejects(() => readCifar10({ files: denoFiles, folder }), FormatError, "use for test");
    await assertRejects(() => streamCifar10(places), FormatError, "use for test");
    await write("train-images-idx3-ubyte", idxFile([2, 1, 1], [1, 2]));
    await write("train-labels-idx1-ubyte", idxFile([2], [0, 1]));
    await write("t10k-labels-idx1-ubyte", idxFile([2], [1, 0]));
    await Deno.symlink(`${folder}/train-images-idx3-ubyte`, `${folder}/t10k-images-idx3-ubyte`);
    await assertRejects(() => readIdx({ files: denoFiles, folder }), FormatError, "use for test");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("readIdx() and readCifar10() refuse test images that are training images in another file", async () => {
  const split = ({ pixels, count }: { pixels: Uint8Array; count: number }, labels: Uint8Array) => ({
    images: idxFile([count, 8, 8], [...pixels]),
    labels: idxFile([count], [...labels]),
  });
  const train = split(tiny.train, tiny.train.labels as Uint8Array);
  const size = tiny.train.pixels.length / 50;
  const rowsOf = (rows: readonly number[]) => {
    const pixels = new Uint8Array(
      rows.flatMap((row) => [...tiny.train.pixels.subarray(row * size, (row + 1) * size)]),
    );
    return split({ pixels, count: rows.length }, new Uint8Array(rows.length));
  };
  const filesOf = (test: typeof train) =>
    memoryFiles({
      "d/train-images-idx3-ubyte": train.images,
      "d/train-labels-idx1-ubyte": train.labels,
      "d/t10k-images-idx3-ubyte": test.images,
      "d/t10k-labels-idx1-ubyte": test.labels,
    });
  const read = (test: typeof train) => readIdx({ files: filesOf(test), folder: "d" });
  const own = split(tiny.test, tiny.test.labels as Uint8Array);
  assertEquals((await read(own)).test.count, 9);
  // Some in another order; one that is new, and ones that are all alike, pass.
  const seen =
    'Cannot use for test "d/t10k-images-idx3-ubyte": all of 3 images that were looked for are training ' +
    "images: test image 1 is training image 7, expected images that training has not seen";
  await assertRejects(() => read(rowsOf([40, 7, 7])), FormatError, seen);
  await assertRejects(
    () => read(rowsOf(Array.from({ length: 200 }, (_, i) => i % 50))),
    FormatError,
    "all of 64",
  );
  await read(rowsOf([7, 7]));
  const mixed = rowsOf([40, 7, 8]);
  mixed.images[mixed.images.length - 1] ^= 1;
  await read(mixed);
  const record = (row: number) => [1, ...new Uint8Array(3072).fill(0).map((_, i) => i * row)];
  const cifar = memoryFiles({
    "d/data_batch_1.bin": new Uint8Array([0, 1, 2].flatMap(record)),
    "d/test_batch.bin": new Uint8Array([2, 1].flatMap(record)),
  });
  await assertRejects(
    () => readCifar10({ files: cifar, folder: "d" }),
    FormatError,
    "test image 1 is training image 1",
  );
});

Deno.test("openShards() measures the statistics that the index does not say", async () => {
  const { places } = placesOf(shardFiles(tiny, { shardRows: 16, mean: undefined, std: undefined }));
  const { mean, std } = await openShards(places);
  assertEquals([mean, std], [tiny.mean, tiny.std]);
});

Deno.test("openShards() reads labels of two bytes", async () => {
  const classes = Array.from({ length: 1000 }, (_, i) => `class ${i}`);
  const many = describeDataset({
    ...tiny,
    classes,
    train: { ...tiny.train, labels: Uint16Array.from({ length: 50 }, (_, i) => (i * 331) % 1000) },
  });
  const { places } = placesOf(shardFiles(many, { shardRows: 16, labelBytes: 2 }));
  assertEquals(await loadStreamed((await openShards(places)).train), many.train);
});

Deno.test("limitDataset() and splitCalibration() take the same rows of shards as of memory", async () => {
  const { places } = placesOf(shardFiles(tiny, { shardRows: 16 }));
  const limited = limitDataset(await openShards(places), { train: 40, test: 5 });
  const resident = limitDataset(tiny, { train: 40, test: 5 });
  assertEquals(await loadStreamed(limited.test), resident.test);
  const streamed = splitCalibration(limited.train, { count: 7, seed: 3 });
  const wanted = splitCalibration(resident.train, { count: 7, seed: 3 });
  assertEquals(await loadStreamed(streamed.train), wanted.train);
  assertEquals(await loadStreamed(streamed.calibration), wanted.calibration);
});

Deno.test("loadDataset() finds shards, and streams CIFAR-10 where it is asked to", async () => {
  const options = { allowDownload: false, note() {} };
  const { places } = placesOf(shardFiles(tiny, { shardRows: 16 }));
  const found = await loadDataset({ ...places, ...options });
  assert(isStreamed(found.train) && isStreamed(found.test));
  const { openReader: _, ...unread } = places;
  await assertRejects(() => loadDataset({ ...unread, ...options }), FileError, "openReader");

  const records = (...labels: number[]) =>
    Uint8Array.from({ length: 3073 * labels.length }, (_, i) => i % 3073 ? i % 251 : labels[i / 3073]);
  const cifar = {
    "data_batch_1.bin": records(1, 2),
    "data_batch_4.bin": records(9),
    "test_batch.bin": records(7),
  };
  const cifarPlaces = placesOf(cifar).places;
  const streamed = await loadDataset({ ...cifarPlaces, ...options, streams: true });
  assert(isStreamed(streamed.train) && isStreamed(streamed.test));
  const resident = await loadDataset({ ...cifarPlaces, ...options });
  assertEquals(resident, await readCifar10(cifarPlaces));
  assertEquals(await loadStreamed(streamed.train as StreamedSplit), resident.train);
  assertEquals([streamed.mean, streamed.std, streamed.name], [resident.mean, resident.std, "cifar10"]);
  const broken = placesOf({ ...cifar, "data_batch_4.bin": records(10) }).places;
  await assertRejects(() => streamCifar10(broken), FormatError, "label 10 at byte 0 (record 0), expected");
  const short = placesOf({ ...cifar, "test_batch.bin": records(1).subarray(1) }).places;
  await assertRejects(
    () => streamCifar10(short),
    FormatError,
    "truncated: the record at byte 0 has 3072 bytes",
  );
});

Deno.test("openShards() refuses shards that are absent or of another size, naming them", async () => {
  const files = shardFiles(tiny, { shardRows: 16 }), { "train-1.bin": shard, ...absent } = files;
  await assertRejects(
    () => openShards(placesOf(absent).places),
    FileError,
    'Cannot read "d/train-1.bin": there is',
  );
  for (
    const [length, message] of [
      [1039, 'Cannot read "d/train-1.bin": 1039 bytes, truncated: the record at byte 975 has 64 bytes'],
      [975, "975 bytes, truncated, expected 16 records of 65 bytes"],
      [1041, "1041 bytes, 1 too many"],
    ] as const
  ) {
    const changed = new Uint8Array(length);
    changed.set(shard.subarray(0, length));
    const { places } = placesOf({ ...files, "train-1.bin": changed });
    await assertRejects(() => openShards(places), FormatError, message);
  }
});

Deno.test("parseShardIndex() refuses an index that does not hold together", () => {
  const good = JSON.parse(new TextDecoder().decode(shardFiles(tiny, { shardRows: 16 })["dataset.json"]));
  const wrong: readonly [Record<string, unknown>, string][] = [
    [{ format: "other" }, 'at format: "other", expected "winnow-shards"'],
    [{ version: 2 }, "at version: 2, expected 1"],
    [{ height: 0.5 }, "at height: 0.5, expected a whole number from 1 to 65536"],
    [{ stray: 1 }, "at stray: an unknown key, expected one of format"],
    [{ name: undefined }, "at name: absent, expected a text that is not empty"],
    [{ classes: ["a"] }, 'at classes: ["a"], expected a list of 2 to 65536'],
    [{ classes: [1, 2] }, "at classes.0: 1, expected a text"],
    [{ mean: ["x"] }, 'at mean.0: "x", expected a finite number'],
    [{ mean: undefined }, "mean and std, or neither"],
    [{ mean: [0.5, 0.5] }, "1 number for the channel"],
    [{ std: [0] }, "at std: [0]"],
    [{ std: [1e-300] }, "at std"],
    [{ std: [1e300] }, "at std"],
    [{ mean: [-1e300] }, "at mean"],
    [{ channels: 65 }, "at channels"],
    [{ height: 65_537 }, "at height"],
    [{ height: 65_536, width: 65_536 }, "at height: at most 67108864 numbers"],
    [{ classes: ["a", "b", "a"] }, 'two classes are named "a"'],
    [{ shards: { ...good.shards, test: good.shards.train } }, 'at shards: "train-0.bin" is there twice'],
    [{ labelBytes: 3 }, "at labelBytes"],
    [{ classes: Array.from({ length: 257 }, (_, i) => `${i}`) }, "2 for 257 classes"],
    [{ shards: { train: [], test: good.shards.test } }, "at shards.train"],
    [
      { shards: { ...good.shards, train: [{ file: "../x", count: 1 }] } },
      "expected the name of a file in the same",
    ],
    [{ shards: { ...good.shards, test: [{ file: "x", count: 0 }] } }, "at shards.test.0.count"],
  ];
  const parse = (text: string) => parseShardIndex(new TextEncoder().encode(text), "d/dataset.json");
  assertEquals(parse(JSON.stringify(good)), good);
  for (const [change, message] of wrong) {
    const error = assertThrows(() => parse(JSON.stringify({ ...good, ...change })), FormatError, message);
    assert(error.message.startsWith('Cannot read "d/dataset.json": '), error.message);
  }
  assertThrows(() => parse("{"), FormatError, "as JSON");
});
