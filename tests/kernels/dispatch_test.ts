/**
 * Holds every kernel that runs one invocation per item to the way in which dispatchOver spreads workgroups: over x, and from
 * 65,536 workgroups on over y too.
 */
import assert from "node:assert/strict";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver, spreadWorkgroups } from "../../src/kernels/dispatch.ts";
import { kernelInterface, kernelNames, kernelSource } from "../../src/kernels/source.ts";
import { runKernels } from "./harness.ts";

Deno.test("spreadWorkgroups() covers any number by x and y within 65,535", () => {
  for (const count of [0, 1, 65_535, 65_536, 131_070, 131_071, 10_000_000]) {
    const [x, y, z] = spreadWorkgroups(count);
    assert(x * y >= count && x <= 65_535 && y <= 65_535 && z === 1, `${count}: ${x} x ${y} x ${z}`);
    assert(x * y - Math.max(1, count) < y, `${count}: a line of workgroups too many`);
  }
});

Deno.test("kernels number their invocations by dispatch alone, with the size of their workgroups", () => {
  let numbered = 0;
  for (const name of kernelNames.filter((name) => name !== "dispatch")) {
    const own = kernelSource(name).replace(kernelSource("dispatch"), "");
    assert(!own.includes("global_invocation_id"), `${name} reads global_invocation_id itself`);
    const size = /invocation_index\(invocation, (\d+)u\)/.exec(own)?.[1];
    if (size === undefined) continue;
    assert.deepEqual(kernelInterface(name).workgroupSize, [Number(size), 1, 1], name);
    numbered++;
  }
  assert(numbered > 70, `${numbered}`);
});

const rows = 150, classes = 5;
const values = (count: number) => Float32Array.from({ length: count }, (_, i) => (i * 37 + 11) % 17 - 8);
const input = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, inputRef(name)]));

/** Kernels of one row per invocation, with what they read and the words that they write. */
const cases: readonly {
  readonly kernel: string;
  readonly params: Dispatch["params"];
  readonly reads: Readonly<Record<string, Float32Array | Uint32Array>>;
  readonly writes: Readonly<Record<string, number>>;
}[] = [
  {
    kernel: "mask/count",
    params: { rows, row_quads: 2, offset: 0, channel_offset: 0, layer: 0 },
    reads: { mask: values(8 * rows) },
    writes: { channels: rows, layers: 1 },
  },
  {
    kernel: "score/row_norms",
    params: { rows, row_quads: 2, offset: 0, row_weights: 8 },
    reads: { mean: values(8 * rows) },
    writes: { row_norms: rows },
  },
  {
    kernel: "loss/confusion",
    params: { rows, classes },
    reads: {
      predictions: Uint32Array.from({ length: rows }, (_, i) => i % classes),
      labels: Uint32Array.from({ length: rows }, (_, i) => i % 3),
      losses: Uint32Array.from({ length: rows }, (_, i) => i),
    },
    writes: { counts: classes * classes, "kept_predictions": rows, "kept_losses": rows },
  },
  {
    kernel: "loss/softmax_cross_entropy",
    params: { rows, quads: 2, classes, smoothing: 0.1 },
    reads: { logits: values(8 * rows), labels: Uint32Array.from({ length: rows }, (_, i) => i % classes) },
    writes: { losses: rows, predictions: rows, dlogits: 8 * rows },
  },
];

for (const { kernel, params, reads, writes } of cases) {
  Deno.test(`${kernel}() gives the same with its workgroups along x and along y`, async () => {
    const run = async (spread: (count: number) => Dispatch["workgroups"]) => {
      const bindings = input([...Object.keys(reads), ...Object.keys(writes)]);
      const dispatch = dispatchOver(rows, { kernel, label: kernel, bindings, params });
      const [count] = dispatch.workgroups;
      const { integers } = await runKernels({
        path: "storage",
        dispatches: [{ ...dispatch, workgroups: spread(count) }],
        buffers: { ...reads, ...writes },
        step: { count: rows, offset: 0 },
      });
      return Object.keys(writes).map((name) => integers(name));
    };
    const alongX = await run((count) => [count, 1, 1]);
    assert.deepEqual(await run((count) => [1, count, 1]), alongX);
    for (const written of alongX) assert(written.some((word) => word !== 0));
  });
}
