import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { epochBatches, type EpochOptions } from "../../src/data/batches.ts";
import { ShapeError } from "../../src/errors.ts";

const OPTIONS: EpochOptions = { count: 10, batch: 4, seed: 3, epoch: 0, shuffle: true, dropLast: false };
const rowsOf = (options: Partial<EpochOptions>) =>
  epochBatches({ ...OPTIONS, ...options }).map((rows) => [...rows]);

Deno.test("epochBatches() visits every row once", () => {
  const batches = rowsOf({});
  assertEquals(batches.map((rows) => rows.length), [4, 4, 2]);
  assertEquals(batches.flat().sort((a, b) => a - b), Array.from({ length: 10 }, (_, i) => i));
});

Deno.test("epochBatches() depends on seed and epoch only", () => {
  assertEquals(rowsOf({}), rowsOf({}));
  assertNotEquals(rowsOf({}), rowsOf({ epoch: 1 }));
  assertNotEquals(rowsOf({}), rowsOf({ seed: 4 }));
  assertNotEquals(rowsOf({ epoch: 1 }), rowsOf({ epoch: 10 }));
  assertEquals(rowsOf({ batch: 5 }).flat(), rowsOf({}).flat());
});

Deno.test("epochBatches() keeps the order where it does not shuffle", () => {
  assertEquals(rowsOf({ shuffle: false, epoch: 5 }), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]);
});

Deno.test("epochBatches() leaves a partial batch out only where asked to", () => {
  assertEquals(rowsOf({ dropLast: true }).map((rows) => rows.length), [4, 4]);
  assertEquals(rowsOf({ dropLast: true, batch: 5 }).length, 2);
  assertEquals(rowsOf({ batch: 11 }).map((rows) => rows.length), [10]);
  assertEquals(rowsOf({ count: 1, batch: 1 }), [[0]]);
});

Deno.test("epochBatches() refuses sizes that leave nothing to train on", () => {
  for (const wrong of [{ count: 0 }, { batch: 0 }, { batch: 1.5 }, { batch: 11, dropLast: true }]) {
    assertThrows(() => rowsOf(wrong), ShapeError, "Cannot cut batches");
  }
});
