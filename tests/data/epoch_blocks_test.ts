import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { chooseBlockSizes, cutChunks, type PassOrder, planBlocks } from "../../src/data/epoch_blocks.ts";
import { splitOfShards, type StreamedSplit, takeStreamed } from "../../src/data/shards_split.ts";

const layout = { labelBytes: 1, imageBytes: 4, classes: 10 };
const openReader = () => {
  throw new Error("this test reads nothing");
};
const shards = [17, 1, 40].map((count, i) => ({ path: `shard ${i}`, count }));
const split = splitOfShards({ shards, layout, openReader });
const sizes = { chunkRows: 5, blockRows: 12 };

/** The blocks of a pass, and its records in the order of visiting as `shard:record`. */
function visit(from: StreamedSplit, pass: Partial<PassOrder>) {
  const order = { seed: 1, epoch: 0, shuffle: true, ...pass };
  const blocks = [...planBlocks(cutChunks(from, sizes), { ...order, ...sizes })];
  const visited = blocks.flatMap(({ runs, order }) => {
    const records = runs.flatMap(({ shard, first, count }) =>
      Array.from({ length: count }, (_, i) => `${shard}:${first + i}`)
    );
    return [...order].map((place) => records[place]);
  });
  return { blocks, visited };
}

const everyRecord = shards.flatMap(({ count }, i) => Array.from({ length: count }, (_, j) => `${i}:${j}`));

Deno.test("planBlocks() visits every record once, in order where it does not shuffle", () => {
  assertEquals(visit(split, { shuffle: false }).visited, everyRecord);
  const { blocks, visited } = visit(split, {});
  assertEquals([...visited].sort(), [...everyRecord].sort());
  assertNotEquals(visited, everyRecord);
  assertEquals(blocks.map(({ isLast }) => isLast), blocks.map((_, i) => i === blocks.length - 1));
});

Deno.test("planBlocks() fills blocks up to the next chunk, of several shards", () => {
  const { blocks } = visit(split, {});
  for (const [i, { runs, order }] of blocks.entries()) {
    assert(order.length <= sizes.blockRows && runs.every(({ count }) => count <= sizes.chunkRows));
    assert(order.length > sizes.blockRows - sizes.chunkRows || i === blocks.length - 1, `${order.length}`);
  }
  assert(blocks.some(({ runs }) => new Set(runs.map(({ shard }) => shard)).size > 1));
});

Deno.test("planBlocks() depends on seed and epoch only", () => {
  assertEquals(visit(split, {}), visit(split, {}));
  assertNotEquals(visit(split, {}).visited, visit(split, { epoch: 1 }).visited);
  assertNotEquals(visit(split, {}).visited, visit(split, { seed: 2 }).visited);
});

Deno.test("takeStreamed() takes the first rows, or those listed, and passes visit no other", () => {
  const first = takeStreamed(split, 18);
  assertEquals(first.runs, [{ shard: 0, first: 0, count: 17 }, { shard: 1, first: 0, count: 1 }]);
  assertEquals(visit(first, { shuffle: false }).visited, everyRecord.slice(0, 18));
  const rows = Uint32Array.of(0, 1, 2, 16, 17, 18, 20, 57, 3);
  const some = takeStreamed(split, rows);
  assertEquals(some.runs.map(({ count }) => count), [3, 1, 1, 1, 1, 1, 1]);
  assertEquals(visit(some, { shuffle: false }).visited, [...rows].map((row) => everyRecord[row]));
  // Of what was taken, again.
  const again = takeStreamed(some, Uint32Array.of(8, 2, 3));
  assertEquals(visit(again, { shuffle: false }).visited, ["0:3", "0:2", "0:16"]);
});

Deno.test("chooseBlockSizes() takes images of any size", () => {
  assertEquals(chooseBlockSizes(3072), { chunkRows: 85, blockRows: 1360 });
  assertEquals(chooseBlockSizes(1), { chunkRows: 262144, blockRows: 4194304 });
  assertEquals(chooseBlockSizes(3 * 512 * 512), { chunkRows: 1, blockRows: 16 });
});
