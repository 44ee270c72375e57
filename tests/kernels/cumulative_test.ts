/** Holds the mean of batch statistics against f64: a batch costs three roundings of values of at most 2. */
import { inputRefs } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { assertClose, F32_ROUNDOFF, randomTensor } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertSame } from "./precision.ts";

for (const path of readPaths) {
  Deno.test(`cumulative_statistics() are the mean over the batches, whatever was there, ${path} path`, async () => {
    for (const quads of [1, 67]) {
      const length = 4 * quads, correction = Math.fround(1.5), offset = 2;
      const batches = [1, 2, 3, 4, 5].map((seed) => randomTensor([length], seed).values);
      let running = new Float32Array(2 * length + 12).fill(7);
      for (const [i, batch] of batches.entries()) {
        const { floats } = await runKernels({
          path,
          dispatches: [dispatchOver(quads, {
            kernel: "reduce/merge_moments:reduce/cumulative_statistics",
            label: "running",
            bindings: inputRefs({
              moments: "moments",
              mean: "mean",
              variance: "variance",
              running: "running",
            }),
            params: {
              ...{ rows: 1, quads, chunks: 1, chunk_rows: 1, lanes: 1, correction },
              ...{ running_mean: offset, running_variance: offset + quads },
            },
          })],
          buffers: {
            moments: Float32Array.of(...batch, ...batch),
            mean: length,
            variance: length,
            running,
          },
          step: { batch_weight: 1 / (i + 1) },
        });
        running = new Float32Array(floats("running"));
      }
      for (
        const [name, factor, first] of [["mean", 1, offset], [
          "variance",
          correction,
          offset + quads,
        ]] as const
      ) {
        const want = batches[0].map((_, i) => batches.reduce((sum, batch) => sum + factor * batch[i], 0) / 5);
        const got = running.subarray(4 * first, 4 * first + length);
        assertClose(got, want, {
          tolerance: 5 * 4 * F32_ROUNDOFF * 2,
          name: `${path} ${quads} quads, ${name}`,
        });
      }
      const others = [...running.subarray(0, 4 * offset), ...running.subarray(4 * offset + 2 * length)];
      assertSame(others, others.map(() => 7), "other statistics stay");
    }
  });
}
