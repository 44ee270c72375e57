/**
 * Holds drawn labels and the running variance against f64.
 *
 * A label may be off where the draw lies within rounding of a class's bound: exponentials are off by 2^-20 of the largest,
 * and so is a sum of a few classes. The variance's terms are within `n` roundings of the mean of the true ones.
 */
import assert from "node:assert/strict";
import { inputRef, inputRefs } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { countQuads } from "../../src/shape.ts";
import { mixBits } from "../../src/random.ts";
import { F32_ROUNDOFF, randomTensor } from "../reference/tensor.ts";
import { readPaths, runKernels, toQuads } from "./harness.ts";
import { assertSame } from "./precision.ts";

for (const path of readPaths) {
  Deno.test(`sample_labels() draws classes with the probability of the softmax, ${path} path`, async () => {
    for (const [rows, classes] of [[1, 1], [5, 3], [3000, 10]]) {
      const logits = randomTensor([rows, classes], classes, 2).values, seed = 0xfffffff1, index = 7;
      const dispatch = dispatchOver(rows, {
        kernel: "loss/sample_labels",
        label: "sampled labels",
        bindings: { logits: inputRef("logits"), labels: inputRef("labels") },
        params: { rows, quads: countQuads(classes), classes, seed },
      });
      const padded = toQuads(logits, rows, classes).map((value, i) =>
        i % (4 * countQuads(classes)) < classes ? value : 1e30
      );
      const { integers } = await runKernels({
        path,
        dispatches: [dispatch],
        buffers: { logits: padded, labels: new Uint32Array(rows).fill(99) },
        step: { index },
      });
      const labels = integers("labels").subarray(0, rows);
      const expected = new Float64Array(classes), counts = new Float64Array(classes);
      for (const [row, label] of labels.entries()) {
        const own = logits.subarray(row * classes, (row + 1) * classes).map(Math.exp);
        const whole = own.reduce((sum, value) => sum + value, 0);
        const draw = (mixBits(mixBits(mixBits(seed) ^ index) ^ row) >>> 8) / 2 ** 24;
        const before = own.subarray(0, label).reduce((sum, value) => sum + value, 0) / whole;
        const isRight = draw >= before - 1e-5 && draw <= before + own[label] / whole + 1e-5;
        assert(label < classes && isRight, `row ${row}: label ${label}, draw ${draw}, bound ${before}`);
        for (let c = 0; c < classes; c++) expected[c] += own[c] / whole;
        counts[label]++;
      }
      // Six standard deviations of a sum of independent draws are at most 3 sqrt(rows).
      for (let c = 0; c < classes; c++) assert(Math.abs(counts[c] - expected[c]) <= 3 * Math.sqrt(rows));
    }
  });

  Deno.test(`running_variance() is the variance of all steps, far below the mean, ${path} path`, async () => {
    const steps = 9, tally = new Uint32Array([0, 0, 0, 0xffffffff]);
    for (const quads of [1, 67]) {
      const values = Array.from(
        { length: steps },
        (_, i) =>
          Float32Array.from(randomTensor([4 * quads], i).values, (value, j) => 1 + 1e-3 * value * (j % 3)),
      );
      let mean: Float32Array = new Float32Array(4 * quads), variance = mean;
      const update = async (value: Float32Array, weight: number, tally: Uint32Array) => {
        const over = (kernel: string, bindings: Record<string, string>) =>
          dispatchOver(quads, { kernel, label: kernel, bindings: inputRefs(bindings), params: { quads } });
        const names = { tally: "tally", values: "values", mean: "mean" };
        const { floats } = await runKernels({
          path,
          dispatches: [
            over("optimizer/running_variance", { ...names, variance: "variance" }),
            over("optimizer/running_mean", names),
          ],
          buffers: { tally, values: value, mean, variance },
          step: { mean_weight: weight },
        });
        [mean, variance] = [floats("mean"), floats("variance")];
      };
      for (const [i, value] of values.entries()) await update(value, 1 / (i + 1), tally);
      for (let j = 0; j < 4 * quads; j++) {
        const own = values.map((value) => value[j]), average = own.reduce((sum, v) => sum + v) / steps;
        const want = own.reduce((sum, v) => sum + (v - average) ** 2, 0) / steps;
        // Differences of up to 4e-3 from means that are off by up to a rounding a step, twice in a square.
        const isConstant = j % 3 === 0;
        const allowed = isConstant
          ? 0
          : 2 * 4e-3 * (steps + 1) * F32_ROUNDOFF + 6 * steps * F32_ROUNDOFF * want;
        assert(Math.abs(variance[j] - want) <= allowed, `${path}: ${variance[j]}, expected ${want}`);
      }
      const before = variance;
      await update(values[0], 0.5, new Uint32Array([0, 0, 0, 3]));
      assertSame(variance, before, "nothing changes after a bad step");
    }
  });
}
