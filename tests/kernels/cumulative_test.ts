/** Holds the mean of batch statistics against f64: a batch costs three roundings of values of at most 2. */
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { assertClose, F32_ROUNDOFF, randomTensor } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertSame } from "./precision.ts";

for (const path of readPaths) {
  Deno.test(`batchnorm2d_cumulative() is the mean over the batches, whatever was there, ${path} path`, async () => {
    for (const quads of [1, 67]) {
      const length = 4 * quads, correction = Math.fround(1.5), offset = 2;
      const batches = [1, 2, 3, 4, 5].map((seed) => randomTensor([length], seed).values);
      let running = new Float32Array(length + 12).fill(7);
      for (const [i, batch] of batches.entries()) {
        const { floats } = await runKernels({
          path,
          dispatches: [dispatchOver(quads, {
            kernel: "layer/batchnorm2d_cumulative",
            label: "running",
            bindings: { batch: inputRef("batch"), running: inputRef("running") },
            params: { quads, offset, correction },
          })],
          buffers: { batch: Float32Array.from(batch), running },
          step: { batch_weight: 1 / (i + 1) },
        });
        running = new Float32Array(floats("running"));
      }
      const want = batches[0].map((_, i) =>
        batches.reduce((sum, batch) => sum + correction * batch[i], 0) / 5
      );
      const got = running.subarray(4 * offset, 4 * offset + length);
      assertClose(got, want, { tolerance: 5 * 4 * F32_ROUNDOFF * 2, name: `${path} ${quads} quads` });
      const others = [...running.subarray(0, 4 * offset), ...running.subarray(4 * offset + length)];
      assertSame(others, others.map(() => 7), "other statistics stay");
    }
  });
}
