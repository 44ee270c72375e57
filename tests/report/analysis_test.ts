import { assertEquals } from "@std/assert";
import { compareClasses, countFlips } from "../../src/report/analysis.ts";

const pair = {
  labels: Uint8Array.of(0, 0, 0, 0, 1, 1, 2),
  before: Uint32Array.of(0, 0, 1, 2, 1, 0, 2),
  after: Uint32Array.of(0, 1, 1, 0, 1, 1, 0),
};

Deno.test("compareClasses() counts a class before and after, and what it is mistaken for most", () => {
  assertEquals(compareClasses(pair, ["cat", "dog", "bird", "fish"]), [
    { name: "cat", count: 4, before: 0.5, after: 0.5, change: 0, mistakenFor: { name: "dog", count: 2 } },
    { name: "dog", count: 2, before: 0.5, after: 1, change: 1, mistakenFor: null },
    { name: "bird", count: 1, before: 1, after: 0, change: -1, mistakenFor: { name: "cat", count: 1 } },
    { name: "fish", count: 0, before: 0, after: 0, change: 0, mistakenFor: null },
  ]);
});

Deno.test("countFlips() puts every example on one of four sides", () => {
  const flips = countFlips(pair);
  assertEquals(flips, { rightToWrong: 2, wrongToRight: 2, stayedRight: 2, stayedWrong: 1 });
  assertEquals(Object.values(flips).reduce((sum, count) => sum + count), 7);
});
