/** Holds the confidence of a signal to noise (to 1e-6, as its approximation promises) and its histogram (exact). */
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { confidenceOf } from "../reference/confidence.ts";
import { assertClose, randomTensor } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertSame, unwritten } from "./precision.ts";

for (const path of readPaths) {
  Deno.test(`confidence_of_z() turns scores into confidence and leaves padding, ${path} path`, async () => {
    for (const quads of [1, 500]) {
      const scores = Float32Array.from({ length: 4 * quads }, (_, i) => i * 10 / (4 * quads));
      scores[1] = 1e4;
      if (quads > 1) scores.set([Math.SQRT2, 1.4142134, 1e-30, 3e38, Infinity], 8);
      const padding = quads > 1 ? 77 : 3;
      scores[padding] = -1;
      const { floats } = await runKernels({
        path,
        dispatches: [
          dispatchOver(quads, {
            kernel: "score/confidence_of_z",
            label: "confidence of z",
            bindings: { scores: inputRef("scores"), confidence: inputRef("confidence") },
            params: { quads },
          }),
        ],
        buffers: { scores, confidence: unwritten(4 * quads) },
      });
      const want = confidenceOf(scores);
      want[padding] = -1;
      assertClose(floats("confidence"), want, { tolerance: 1e-6, name: `${path} confidence` });
    }
  });

  Deno.test(`histogram() counts kept weights by bin, ${path} path`, async () => {
    for (
      const { quads, bins } of [{ quads: 1, bins: 1 }, { quads: 150, bins: 10 }, { quads: 67, bins: 33 }]
    ) {
      const offset = 2, countsOffset = 5, words = 4 * (quads + offset + 1);
      const confidence = Float32Array.from(randomTensor([words], 1).values, Math.abs);
      const mask = Float32Array.from(randomTensor([words], 2).values, (value) => value > 0 ? 1 : 0);
      const first = 4 * offset;
      confidence.set([0, 1, 1, .5], first);
      mask.fill(1, first, first + 2);
      if (quads > 1) confidence.set([-1, -1], first + 9);
      const { integers } = await runKernels({
        path,
        dispatches: [
          dispatchOver(quads, {
            kernel: "score/histogram",
            label: "histogram",
            bindings: {
              confidence: inputRef("confidence"),
              mask: inputRef("mask"),
              counts: inputRef("counts"),
            },
            params: { quads, offset, bins, counts_offset: countsOffset },
          }),
        ],
        buffers: { confidence, mask, counts: new Uint32Array(countsOffset + bins + 2).fill(3) },
      });
      const want = new Uint32Array(countsOffset + bins + 2).fill(3);
      for (let i = first; i < first + 4 * quads; i++) {
        if (confidence[i] < 0 || mask[i] === 0) continue;
        want[countsOffset + Math.min(Math.floor(Math.fround(confidence[i] * bins)), bins - 1)]++;
      }
      assertSame(integers("counts").subarray(0, want.length), want, `${path} ${quads} quads, ${bins} bins`);
    }
  });
}
