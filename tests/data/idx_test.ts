import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { isIdxName, parseIdx, readIdx } from "../../src/data/idx.ts";
import { FileError, FormatError } from "../../src/errors.ts";
import { gzip, idxFile, tinyIdx } from "../helpers/idx_files.ts";
import { memoryFiles } from "../helpers/memory_files.ts";

Deno.test("parseIdx() reads shape and values of each rank", () => {
  const values = [1, 2, 3, 4, 5, 6];
  for (const shape of [[1, 2, 3], [1, 1, 2, 3]]) {
    const read = parseIdx(idxFile(shape, values), { name: "x", ranks: [3, 4] });
    assertEquals([read.shape, [...read.values]], [shape, values]);
  }
  assertEquals([...parseIdx(idxFile([2], [7, 255]), { name: "x", ranks: [1] }).values], [7, 255]);
});

Deno.test("parseIdx() names file, byte and expectation where the bytes are wrong", () => {
  const whole = idxFile([1, 2, 2], [1, 2, 3, 4]);
  const wrong: readonly [Uint8Array<ArrayBuffer>, string][] = [
    [new Uint8Array(0), "truncated, it ends at byte 0, expected magic 0x00000803 or 0x00000804 at byte 0"],
    [new Uint8Array(3), "truncated, it ends at byte 3"],
    [idxFile([4], [1, 2, 3, 4]), "magic 0x00000801 at byte 0, expected 0x00000803 or 0x00000804"],
    [Uint8Array.of(0x1f, 0x8b, 8, 0), "magic 0x1f8b0800 at byte 0"],
    [whole.slice(0, 15), "truncated, it ends at byte 15, expected 3 sizes up to byte 16"],
    [whole.slice(0, -1), "truncated, it ends at byte 19, expected 20 bytes, a header and (1, 2, 2) elements"],
    [idxFile([1, 2, 2], [1, 2, 3, 4, 5]), "bytes are left over from byte 20 on, expected 20 bytes"],
    [idxFile([1, 0, 2], []), "dimension 1 is 0 at byte 8, expected at least 1"],
    [idxFile([0xffffffff, 1000, 1000], [1]), "elements, expected at most 2147483648 elements"],
    // What would take gigabytes for statistics of its channels, whatever lies behind.
    [idxFile([1, 2_000_000, 1, 1], [1]), "dimension 1 is 2000000 at byte 8, expected at most 64"],
    [idxFile([1, 65_537, 1], [1]), "dimension 1 is 65537 at byte 8, expected at most 65536"],
    [idxFile([60000, 28, 28], [1]), "truncated, it ends at byte 17, expected 47040016 bytes"],
  ];
  for (const [bytes, message] of wrong) {
    assertThrows(() => parseIdx(bytes, { name: "x", ranks: [3, 4] }), FormatError, message);
  }
});

Deno.test("readIdx() reads the four files of a folder", async () => {
  const dataset = await readIdx({ files: memoryFiles(tinyIdx("m")), folder: "m" });
  const { name, source, channels, height, width, classes, train, test } = dataset;
  assertEquals([name, source, channels, height, width], ["idx", "m", 1, 2, 2]);
  assertEquals(classes, ["0", "1", "2", "3"]);
  assertEquals([[...train.pixels], [...train.labels]], [Array.from({ length: 12 }, (_, i) => i), [0, 2, 1]]);
  assertEquals([test.count, [...test.labels]], [1, [3]]);
});

Deno.test("readIdx() reads dotted and compressed names and images (N, C, H, W)", async () => {
  const files = memoryFiles({
    "m/train-images.idx4-ubyte.gz": await gzip(idxFile([1, 2, 1, 3], [1, 2, 3, 4, 5, 6])),
    "m/train-labels-idx1-ubyte.gz": await gzip(idxFile([1], [1])),
    "m/t10k-images.idx4-ubyte": idxFile([1, 2, 1, 3], [0, 0, 0, 0, 0, 0]),
    "m/t10k-labels.idx1-ubyte": idxFile([1], [0]),
  });
  const { channels, height, width, train } = await readIdx({ files, folder: "m" });
  assertEquals([channels, height, width, [...train.pixels]], [2, 1, 3, [1, 2, 3, 4, 5, 6]]);
});

Deno.test("readIdx() rejects compressed files that are broken, too long or too short", async () => {
  const entries: Record<string, Uint8Array<ArrayBuffer>> = tinyIdx("m");
  const compressed = await gzip(entries["m/train-images-idx3-ubyte"]);
  delete entries["m/train-images-idx3-ubyte"];
  const wrong: readonly [Uint8Array<ArrayBuffer>, string][] = [
    [Uint8Array.of(1, 2, 3), "gzip stops making sense"],
    [compressed.slice(0, -4), "gzip stops making sense"],
    [await gzip(idxFile([3, 2, 2], new Uint8Array(1_000_000))), "bytes are left over from byte 28 on"],
    [await gzip(idxFile([3, 2, 2], new Uint8Array(11))), "truncated, it ends at byte 27"],
    [await gzip(new Uint8Array(0)), "truncated, it ends at byte 0"],
  ];
  for (const [bytes, message] of wrong) {
    const files = memoryFiles({ ...entries, "m/train-images-idx3-ubyte.gz": bytes });
    await assertRejects(() => readIdx({ files, folder: "m" }), FormatError, message);
  }
});

Deno.test("readIdx() rejects files that do not fit together", async () => {
  const wrong: readonly [Record<string, Uint8Array>, string][] = [
    [{ "m/train-labels-idx1-ubyte": idxFile([2], [0, 1]) }, "2 labels by the size at byte 4, expected 3"],
    [{ "m/t10k-images-idx3-ubyte": idxFile([1, 2, 3], new Uint8Array(6)) }, "(C, H, W) = (1, 2, 3)"],
    [{
      "m/train-labels-idx1-ubyte": idxFile([3], [0, 0, 0]),
      "m/t10k-labels-idx1-ubyte": idxFile([1], [0]),
    }, "expected labels of at least 2 classes"],
  ];
  for (const [changed, message] of wrong) {
    const files = memoryFiles({ ...tinyIdx("m"), ...changed });
    await assertRejects(() => readIdx({ files, folder: "m" }), FormatError, message);
  }
});

Deno.test("readIdx() says which file is absent", async () => {
  for (const path of Object.keys(tinyIdx("m"))) {
    const files = memoryFiles(tinyIdx("m"));
    await files.remove(path);
    await assertRejects(() => readIdx({ files, folder: "m" }), FileError, `there is no ${path.slice(2)}`);
  }
});

Deno.test("isIdxName() knows every spelling and nothing else", () => {
  const names = ["train-images-idx3-ubyte", "t10k-labels.idx1-ubyte.gz", "train-images.idx4-ubyte"];
  assertEquals(names.map(isIdxName), [true, true, true]);
  const others = [
    "train-images-idx1-ubyte",
    "train-labels-idx3-ubyte",
    "x-train-images-idx3-ubyte",
    "train-images",
  ];
  assertEquals(others.map(isIdxName), [false, false, false, false]);
});
