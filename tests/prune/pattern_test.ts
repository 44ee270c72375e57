/** Holds the count of N:M groups to weights written out by hand, in PyTorch's order. */
import { assertEquals } from "@std/assert";
import { parseGraph } from "../../src/model/graph.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { countPattern } from "../../src/prune/select/pattern.ts";

const graph = parseGraph({
  name: "hand",
  input: { channels: 5, height: 1, width: 2 },
  layers: [
    { kind: "conv2d", name: "conv", outChannels: 3, kernel: [1, 2], padding: [0, 1], bias: false },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 2, bias: false },
  ],
}, "a test");

Deno.test("countPattern() takes input channels at each tap of a convolution, and a linear layer's features", () => {
  // conv (3, 5, 1, 2): of a row 5 channels of 2 taps; groups of 4 and of 1 at each tap. fc (2, 9): groups of 4, 4 and 1.
  const conv = Float32Array.of(
    ...[1, 0, 1, 0, 0, 0, 0, 0, 7, 7], // tap 0 keeps 2 of the first four, tap 1 none
    ...[1, 1, 1, 1, 0, 1, 0, 0, 0, 0], // 2 and 3
    ...[-1, 0, 1, 0, 0, 0, 1, 0, 0, 0], // 3 and none
  );
  const fc = Float32Array.of(...[1, 1, 0, 0, 0, 1, 1, 0, 1], ...[0, 1, 1, 1, 0, 0, 0, 0, 0]);
  const counts = countPattern(
    layOutParameters(graph),
    new Map([["conv.weight", conv], ["fc.weight", fc]]),
    { keep: 2, of: 4 },
  );
  assertEquals(counts, [
    { name: "conv.weight", groups: 12, fitting: 10 },
    { name: "fc.weight", groups: 6, fitting: 5 },
  ]);
});
