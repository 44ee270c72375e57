import { assertEquals, assertRejects } from "@std/assert";
import { openLoadedSource } from "../../src/data/record_sources.ts";
import { loadDataset } from "../../mod.ts";
import { progressFile, type RecordSource, writeShards } from "../../src/data/write_shards.ts";
import { FileError, FormatError } from "../../src/errors.ts";
import { openDenoBlockReader } from "../../src/deno/block_reader.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";

const dataset = tinyDataset(), maxShardBytes = 2000;

Deno.test("writeShards() writes what is read again, with the same statistics", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const source = await openLoadedSource(dataset), heard: number[] = [];
    const { index, classCounts, kept } = await writeShards(source, {
      ...{ files: denoFiles, folder, maxShardBytes },
      onProgress: (done) => heard.push(done),
    });
    assertEquals([kept, heard.at(-1)], [0, dataset.train.count + dataset.test.count]);
    const read = await loadDataset({ folder });
    for (const use of ["train", "test"] as const) {
      assertEquals([...read[use].labels], [...dataset[use].labels]);
      assertEquals(read[use].pixels, dataset[use].pixels);
      const counts = dataset.classes.map((_, label) =>
        dataset[use].labels.filter((own) => own === label).length
      );
      assertEquals(classCounts[use], counts);
    }
    assertEquals([read.mean, read.std, read.classes], [dataset.mean, dataset.std, dataset.classes]);
    assertEquals(index.shards.train.length > 2, true);
    assertEquals((await denoFiles.list(folder))!.includes(progressFile), false);
    // Shards are a source as well.
    const again = await openLoadedSource(await loadDataset({ folder, openReader: openDenoBlockReader }));
    const second = await writeShards(again, {
      files: memoryFiles({ "two/a": "" }),
      folder: "two",
      maxShardBytes,
    });
    assertEquals(second.index.shards, index.shards);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("writeShards() goes on after the last whole shard, and ends with the same bytes", async () => {
  const source = await openLoadedSource(dataset),
    whole = memoryFiles({ "out/a": "" }),
    parts = memoryFiles({ "out/a": "" });
  await writeShards(source, { files: whole, folder: "out", maxShardBytes });
  const controller = new AbortController(), reads: string[] = [];
  const watched: RecordSource = {
    ...source,
    read(use, part) {
      reads.push(`${use} ${part.first}`);
      if (reads.length === 3) controller.abort(new Error("enough"));
      return source.read(use, part);
    },
  };
  const options = { files: parts, folder: "out", maxShardBytes };
  await assertRejects(() => writeShards(watched, { ...options, signal: controller.signal }), Error, "enough");
  assertEquals(reads.length, 3);
  assertEquals(parts.entries.has("out/dataset.json"), false);
  const other = { ...source, fingerprint: "of another" };
  await assertRejects(() => writeShards(other, options), FileError, "a part of another data set");
  const { kept } = await writeShards(watched, options);
  assertEquals([kept, new Set(reads).size], [3, reads.length]);
  assertEquals(new Map([...parts.entries].sort()), new Map([...whole.entries].sort()));
});

Deno.test("writeShards() counts what is left out, and refuses a split of which nothing is left", async () => {
  const source = await openLoadedSource(dataset),
    options = { files: memoryFiles({ "out/a": "" }), folder: "out" };
  const empty: RecordSource = {
    ...source,
    read: async (use, part) =>
      use === "train" ? await source.read(use, part) : {
        split: { pixels: new Uint8Array(0), labels: new Uint8Array(0), count: 0 },
        skipped: ["a.jpg"],
      },
  };
  await assertRejects(
    () => writeShards(empty, options),
    FormatError,
    "none of the images for test can be read",
  );
});
