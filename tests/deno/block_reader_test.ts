import { assertEquals, assertRejects } from "@std/assert";
import { openDenoBlockReader } from "../../src/deno/block_reader.ts";
import { openShards } from "../../src/data/shards.ts";
import { requestRuns, type StreamedSplit } from "../../src/data/shards_split.ts";
import { FileError, FormatError } from "../../src/errors.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { shardFiles } from "../helpers/shard_files.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";

const tiny = tinyDataset({ train: 50, test: 9 });

/** Runs a test with the training split of the tiny data set as shards of 16 in a folder. */
async function withShards(act: (split: StreamedSplit, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, bytes] of Object.entries(shardFiles(tiny, { shardRows: 16 }))) {
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    const { train } = await openShards({ files: denoFiles, folder, openReader: openDenoBlockReader });
    await act(train, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const wholeOf = (split: StreamedSplit) => requestRuns(split, split.runs, 50);

Deno.test("openDenoBlockReader() reads blocks in the order asked for, into memory that comes back", () =>
  withShards(async (split) => {
    using reader = openDenoBlockReader();
    const last = requestRuns(split, [{ shard: 3, first: 1, count: 1 }, { shard: 0, first: 2, count: 3 }], 50);
    const [whole, some] = await Promise.all([reader.read(wholeOf(split)), reader.read(last)]);
    assertEquals(whole.labels, Uint32Array.from(tiny.train.labels));
    assertEquals(new Uint8Array(whole.memory, 0, 50 * 64), tiny.train.pixels);
    assertEquals([...some.labels], [49, 2, 3, 4].map((row) => tiny.train.labels[row]));
    const again = await reader.read(wholeOf(split), some.memory);
    assertEquals(some.memory.detached, true);
    assertEquals(new Uint8Array(again.memory, 0, 50 * 64), tiny.train.pixels);
  }));

Deno.test("openDenoBlockReader() names the shard that is absent, cut, changed or has a wrong label", () =>
  withShards(async (split, folder) => {
    const path = `${folder}/train-2.bin`, bytes = await Deno.readFile(path);
    const refused = async (
      change: () => Promise<unknown>,
      [kind, message]: [typeof FileError | typeof FormatError, string],
    ) => {
      using reader = openDenoBlockReader();
      await reader.read(wholeOf(split));
      await change();
      const error = await assertRejects(() => reader.read(wholeOf(split)), kind);
      assertEquals(error.message.startsWith(`Cannot read "${path}": ${message}`), true, error.message);
      await Deno.writeFile(path, bytes);
      // Another reader takes the file as it is now.
      using fresh = openDenoBlockReader();
      assertEquals((await fresh.read(wholeOf(split))).labels.length, 50);
    };
    const wrongLabel = bytes.slice();
    wrongLabel[65 * 3] = 4;
    await refused(() => Deno.remove(path), [FileError, "there is no such path"]);
    await refused(() => Deno.truncate(path, 100), [
      FormatError,
      "100 bytes, truncated: the record at byte 65 has 35",
    ]);
    await refused(async () => {
      await Deno.writeFile(path, bytes);
      await Deno.utime(path, 1, 1);
    }, [FileError, "it was changed at 1970"]);
    await refused(async () => {
      const { mtime, atime } = await Deno.stat(path);
      await Deno.writeFile(path, wrongLabel);
      await Deno.utime(path, atime!, mtime!);
    }, [FormatError, "label 4 at byte 195 (record 3), expected a label of 0 to 3"]);
  }));

Deno.test("openDenoBlockReader() refuses what it was reading, and what follows, once it is stopped", () =>
  withShards(async (split) => {
    const reader = openDenoBlockReader();
    const reading = reader.read(wholeOf(split));
    reader[Symbol.dispose]();
    await assertRejects(() => reading, FileError, "its reader was stopped");
    await assertRejects(() => reader.read(wholeOf(split)), FileError, "its reader was stopped");
  }));
