/** Holds the kernels that measure an adapter's limits against the host: they must do the work that is counted. */
import assert from "node:assert/strict";
import { dispatchPeakCopy, dispatchPeakFma, peakFmaFlops } from "../../bench/peaks.ts";
import { randomTensor } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertSame } from "./precision.ts";

/** Quads for one invocation, one workgroup and a part, and more than two workgroups. */
const sizes = [1, 67, 130];

for (const path of readPaths) {
  Deno.test(`bench/peak_copy() copies all quads and no others, ${path} path`, async () => {
    for (const quads of sizes) {
      const source = Float32Array.from(randomTensor([4 * quads + 8], 1).values);
      const copy = new Float32Array(4 * quads + 8).fill(7);
      const { floats } = await runKernels({
        path,
        dispatches: [dispatchPeakCopy(quads)],
        buffers: { source, copy },
      });
      const want = Float32Array.from(copy);
      want.set(source.subarray(0, 4 * quads));
      assertSame(floats("copy"), want, `${path} ${quads} quads`);
    }
  });

  Deno.test(`bench/peak_fma() runs every chain through every step, ${path} path`, async () => {
    for (const quads of sizes) {
      for (const rounds of [1, 3]) {
        const dispatch = dispatchPeakFma(quads, rounds);
        const { floats } = await runKernels({ path, dispatches: [dispatch], buffers: { sums: 4 * quads } });
        const sums = floats("sums"), scale = Math.fround(dispatch.params.scale!), { shift } = dispatch.params;
        const steps = 16 * rounds;
        for (let i = 0; i < 4 * quads; i++) {
          let want = 0, largest = 0;
          for (let vector = 0; vector < 3; vector++) {
            let value = 4 * vector + i % 4 + Math.floor(i / 4) % 64;
            for (let step = 0; step < steps; step++) value = value * scale + shift!;
            want += value;
            largest = Math.max(largest, value);
          }
          // A step rounds twice at most, by half a unit of a value below `largest` + shift, in each of 3 chains; two
          // additions of at most the sum follow.
          const allowed = 2 ** -24 * (3 * 2 * steps * (largest + shift! * steps) + 2 * want);
          assert(Math.abs(sums[i]! - want) <= allowed, `${path} ${quads} quads, ${rounds} rounds, sum ${i}`);
        }
      }
    }
  });
}

Deno.test("peakFmaFlops() counts two operations a multiply-add of 12 chains in 16 steps", () => {
  assert.equal(peakFmaFlops(10), 2 * 12 * 16 * 10);
});
