import { assert, assertEquals, assertRejects } from "@std/assert";
import { NumericError } from "../../src/errors.ts";
import { openEvaluator, standardErrorOfMean } from "../../src/train/evaluate.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyClasses, tinyDataset, tinySize } from "../helpers/tiny_dataset.ts";
import { openWorkbench } from "../helpers/tiny_network.ts";
import { readPaths } from "../kernels/harness.ts";
import { referencePass, type Tensors } from "../plan/reference_graph.ts";
import { F32_ROUNDOFF, tensorOf } from "../reference/tensor.ts";

for (const path of readPaths) {
  Deno.test(`evaluate() counts a partial last batch as the f64 reference does, on ${path}`, async () => {
    const gpu = await deviceOf(path), start = gpu.allocatedBytes;
    const dataset = tinyDataset({ train: 8, test: 41 });
    {
      using bench = openWorkbench(gpu, { batch: 16, dataset });
      const { network, test, choose, slots } = bench;
      using evaluator = await openEvaluator(network, test, { choose, slots });
      const got = await evaluator.evaluate();
      const { pixels: images, labels, count } = dataset.test;
      const parameters: Tensors = Object.fromEntries(
        [...await network.readParameters()].map(([name, values]) => {
          const { shape } = network.layout.parameters.find(({ fullName }) => fullName === name)!;
          return [name, tensorOf(shape, values)];
        }),
      );
      const pixels = Float64Array.from(images, (byte) => (byte / 255 - dataset.mean[0]) / dataset.std[0]);
      const want = referencePass(network.graph, parameters, {
        images: tensorOf([count, 1, tinySize, tinySize], pixels),
        labels,
        trains: false,
      });
      const predictions = Array.from({ length: count }, (_, i) => {
        const row = want.logits.values.subarray(i * tinyClasses, (i + 1) * tinyClasses);
        return row.indexOf(Math.max(...row));
      });
      assertEquals([...got.predictions], predictions);
      const hits = predictions.filter((prediction, i) => prediction === labels[i]).length;
      assertEquals([got.count, got.accuracy], [41, hits / 41]);
      const confusion = Array(tinyClasses ** 2).fill(0);
      predictions.forEach((prediction, i) => confusion[labels[i] * tinyClasses + prediction]++);
      assertEquals([...got.confusion], confusion);
      // Sums of at most 41 losses, each behind sums of less than 150 terms, all of a size near 1.
      assert(Math.abs(got.loss - want.loss) <= 200 * F32_ROUNDOFF * 4, `${got.loss - want.loss}`);
      for (const [i, loss] of got.losses.entries()) {
        const row = want.logits.values.subarray(i * tinyClasses, (i + 1) * tinyClasses),
          most = Math.max(...row);
        const wanted = most + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - most), 0)) -
          row[labels[i]];
        assert(Math.abs(loss - wanted) <= 200 * F32_ROUNDOFF * 4, `loss of example ${i}: ${loss - wanted}`);
      }
      assertEquals(got.losses.length, 41);
      assertEquals(await evaluator.evaluate(), got, "the second time starts from zero");
    }
    assertEquals(gpu.allocatedBytes, start);
  });
}

Deno.test("evaluate() follows the network's values, and refuses losses that are not finite", async () => {
  using bench = openWorkbench(await deviceOf());
  const { network, test, choose, slots } = bench;
  using evaluator = await openEvaluator(network, test, { choose, slots });
  const values = new Map(await network.readParameters());
  network.writeParameters(values.set("fc2.bias", Float32Array.of(0, 0, 1e3, 0)));
  const got = await evaluator.evaluate();
  assertEquals(new Set(got.predictions), new Set([2]));
  assertEquals(got.accuracy, 0.25);
  network.writeParameters(values.set("fc2.bias", Float32Array.of(0, 0, NaN, 0)));
  await assertRejects(() => evaluator.evaluate(), NumericError, "fc2.bias[2] is NaN");
});

Deno.test("evaluate() ends where a signal is aborted, and counts anew afterwards", async () => {
  using bench = openWorkbench(await deviceOf(), { batch: 16 });
  const { network, test, choose, slots } = bench;
  using evaluator = await openEvaluator(network, test, { choose, slots });
  const whole = await evaluator.evaluate(), reason = new Error("told to stop");
  await assertRejects(() => evaluator.evaluate({ signal: AbortSignal.abort(reason) }), Error, "told to stop");
  assertEquals(await evaluator.evaluate({ signal: new AbortController().signal }), whole);
});

Deno.test("standardErrorOfMean() divides the deviation of the sample by the root of its count", () => {
  // The squares about the mean 2.5 sum up to 5: the root of 5 / 3 / 4.
  assert(Math.abs(standardErrorOfMean(Float32Array.of(1, 2, 3, 4)) - Math.sqrt(5 / 12)) < 1e-15);
  assertEquals(standardErrorOfMean(Float32Array.of(7)), 0);
});
