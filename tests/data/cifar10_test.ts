import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { parseCifar10, readCifar10 } from "../../src/data/cifar10.ts";
import { FileError, FormatError } from "../../src/errors.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { sharedPath } from "../helpers/shared.ts";

const RECORD = 3073;

/** Records whose pixels all equal 10 * label + their channel. */
function records(...labels: number[]): Uint8Array {
  const bytes = new Uint8Array(labels.length * RECORD);
  labels.forEach((label, row) => {
    bytes[row * RECORD] = label;
    for (let c = 0; c < 3; c++) {
      bytes.fill(10 * label + c, row * RECORD + 1 + c * 1024, row * RECORD + 1 + (c + 1) * 1024);
    }
  });
  return bytes;
}

Deno.test("parseCifar10() separates labels and pixels", () => {
  const { pixels, labels, count } = parseCifar10(records(3, 9), "x.bin");
  assertEquals([count, [...labels], pixels.length], [2, [3, 9], 2 * 3072]);
  assertEquals([pixels[0], pixels[1023], pixels[1024], pixels[3071], pixels[3072]], [30, 30, 31, 32, 90]);
});

Deno.test("parseCifar10() names file, byte and expectation where the bytes are wrong", () => {
  const wrong: readonly [Uint8Array, string][] = [
    [
      new Uint8Array(0),
      'Cannot read "x.bin": it is empty (0 bytes), expected 1 to 10000 records of 3073 bytes',
    ],
    [records(1, 2).subarray(0, -1), "6145 bytes, truncated: the record at byte 3073 has 3072 bytes"],
    [Uint8Array.of(1), "1 bytes, truncated: the record at byte 0 has 1 bytes"],
    [records(1, 10, 2), "label 10 at byte 3073 (record 1), expected a label of 0 to 9"],
    [new Uint8Array(10_001 * RECORD), "3073 too many from byte 30730000 on"],
  ];
  for (const [bytes, message] of wrong) {
    assertThrows(() => parseCifar10(bytes, "x.bin"), FormatError, message);
  }
});

Deno.test("readCifar10() joins the training files that are there", async () => {
  const files = memoryFiles({
    "c/data_batch_1.bin": records(1, 2),
    "c/data_batch_4.bin": records(5),
    "c/test_batch.bin": records(7),
  });
  const { train, test, classes, mean, name, source, channels, height, width } = await readCifar10({
    files,
    folder: "c",
  });
  assertEquals([[...train.labels], [...test.labels]], [[1, 2, 5], [7]]);
  assertEquals([train.pixels[2 * 3072], test.pixels[0]], [50, 70]);
  assertEquals([name, source, channels, height, width], ["cifar10", "c", 3, 32, 32]);
  assertEquals([classes[0], classes[9], classes.length], ["airplane", "truck", 10]);
  assertAlmostEquals(mean[1], (11 + 21 + 51) / 3 / 255, 1e-15);
});

Deno.test("readCifar10() takes class names from batches.meta.txt", async () => {
  const entries = { "c/data_batch_1.bin": records(1), "c/test_batch.bin": records(7) };
  const names = "a b c d e f g h i j".split(" ");
  const files = memoryFiles({ ...entries, "c/batches.meta.txt": names.join("\r\n") + "\n\n" });
  assertEquals((await readCifar10({ files, folder: "c" })).classes, names);
  const nine = memoryFiles({ ...entries, "c/batches.meta.txt": "a\nb\n" });
  await assertRejects(
    () => readCifar10({ files: nine, folder: "c" }),
    FormatError,
    "2 class names in 4 bytes",
  );
  const same = memoryFiles({ ...entries, "c/batches.meta.txt": "a b c d a f g h i j".replaceAll(" ", "\n") });
  await assertRejects(
    () => readCifar10({ files: same, folder: "c" }),
    FormatError,
    'two classes are named "a"',
  );
});

Deno.test("readCifar10() needs a training and the test file", async () => {
  const untested = memoryFiles({ "c/data_batch_1.bin": records(1) });
  await assertRejects(
    () => readCifar10({ files: untested, folder: "c" }),
    FileError,
    "test_batch.bin is absent",
  );
  const untrained = memoryFiles({ "c/test_batch.bin": records(1) });
  await assertRejects(
    () => readCifar10({ files: untrained, folder: "c" }),
    FileError,
    "none of data_batch_1.bin",
  );
});

Deno.test("readCifar10() rejects a file of the wrong size before reading it", async () => {
  const files = memoryFiles({ "c/data_batch_1.bin": records(1), "c/test_batch.bin": records(1) });
  const huge = {
    ...files,
    sizeBytes: () => Promise.resolve(2 ** 40),
    read: () => Promise.reject(new Error("read")),
  };
  await assertRejects(() => readCifar10({ files: huge, folder: "c" }), FormatError, "c/data_batch_1.bin");
});

const shared = sharedPath("data/cifar-10-batches-bin");
Deno.test("readCifar10() reads real images", { ignore: shared === undefined }, async () => {
  const dataset = await readCifar10({ files: denoFiles, folder: shared! });
  assertEquals([dataset.train.count, dataset.test.count], [5000, 1000]);
  assertEquals(dataset.classes[6], "frog");
  // The whole training set's statistics, which these rows are a sample of: (.4914, .4822, .4465), (.247, .2435, .2616).
  [.4914, .4822, .4465].forEach((mean, c) => assertAlmostEquals(dataset.mean[c], mean, .01));
  [.247, .2435, .2616].forEach((std, c) => assertAlmostEquals(dataset.std[c], std, .01));
  assert(new Set(dataset.test.labels).size === 10);
});
