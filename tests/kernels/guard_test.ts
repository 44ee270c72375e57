/**
 * Holds what guards a training: the check for NaN and infinities, the freeze that follows, and the running mean. The
 * running mean's tolerance: three roundings a step on values and means of at most 2.
 */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/assemble.ts";
import { type Dispatch, dispatchOver } from "../../src/kernels/dispatch.ts";
import { updateRunningMean } from "../reference/confidence.ts";
import { assertClose, F32_ROUNDOFF, randomTensor } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertSame } from "./precision.ts";

const noBadStep = 0xffffffff;
const largestFloat = 3.4028234663852886e38, smallestFloat = 2 ** -149;

/** Checks arrays of floats and returns the bad step that each one's tally holds afterwards. */
async function checkFinite(
  path: ReadPath,
  arrays: readonly Float32Array[],
  { index, before = noBadStep }: { readonly index: number; readonly before?: number },
): Promise<number[]> {
  const { integers } = await runKernels({
    path,
    dispatches: arrays.map(({ length }, i) =>
      dispatchOver(length / 4, {
        kernel: "optimizer/check_finite",
        label: "check",
        bindings: { values: `values${i}`, tally: `tally${i}` },
        params: { quads: length / 4 },
      })
    ),
    buffers: Object.fromEntries(
      arrays.flatMap((values, i) => [[`values${i}`, values], [`tally${i}`, Uint32Array.of(1, 2, 3, before)]]),
    ),
    step: { index },
  });
  return arrays.map((_, i) => {
    const tally = integers(`tally${i}`);
    assertSame(tally.subarray(0, 3), [1, 2, 3], "the rest of the tally");
    return tally[3];
  });
}

/** Finite values, the extremes among them, with one replaced. */
function valuesWith(replacement: number, place: number): Float32Array {
  const values = Float32Array.from(randomTensor([4 * 131], 1).values);
  values.set([largestFloat, -largestFloat, smallestFloat, -0]);
  values[place] = replacement;
  return values;
}

function runningMeanDispatch(length: number, mean: string): Dispatch {
  return dispatchOver(length / 4, {
    kernel: "optimizer/running_mean",
    label: "mean",
    bindings: { tally: "tally", values: "values", mean },
    params: { quads: length / 4 },
  });
}

for (const path of readPaths) {
  Deno.test(`check_finite() notes NaN and infinities in any lane, ${path} path`, async () => {
    const bad = [NaN, Infinity, -Infinity];
    const places = [4, 9, 66 * 4 + 2, 130 * 4 + 3];
    const arrays = bad.flatMap((value) => places.map((place) => valuesWith(value, place)));
    assertSame(await checkFinite(path, arrays, { index: 5 }), arrays.map(() => 5), `${path} bad steps`);
    assertSame(
      await checkFinite(path, [arrays[0]], { index: 5, before: 3 }),
      [3],
      "the first bad step stays",
    );
    assertSame(await checkFinite(path, [Float32Array.of(1, 2, 3, NaN)], { index: 0 }), [0], "one quad");
  });

  Deno.test(`check_finite() accepts the largest and the smallest floats, ${path} path`, async () => {
    assertSame(await checkFinite(path, [valuesWith(1, 4)], { index: 5 }), [noBadStep], `${path} bad step`);
  });

  Deno.test(`running_mean() is the mean of all steps, ${path} path`, async () => {
    for (const length of [4, 4 * 67]) {
      let mean: Float32Array = new Float32Array(length);
      const want = new Float64Array(length);
      const steps = 5;
      for (let count = 1; count <= steps; count++) {
        const { values } = randomTensor([length], count);
        const { floats } = await runKernels({
          path,
          dispatches: [runningMeanDispatch(length, "mean")],
          buffers: { tally: Uint32Array.of(0, 0, 0, noBadStep), values: Float32Array.from(values), mean },
          step: { mean_weight: 1 / count },
        });
        mean = floats("mean");
        updateRunningMean(want, values, count);
      }
      assertClose(mean, want, { tolerance: 3 * steps * F32_ROUNDOFF * 2, name: `${path} running mean` });
    }
  });

  Deno.test(`sgd(), adam() and running_mean() change no bit after a bad step, ${path} path`, async () => {
    const quads = 65, words = 4 * quads;
    const bits = (seed: number) => Float32Array.from(randomTensor([words], seed).values, Math.abs);
    const held = { velocity: bits(1), "second_moment": bits(2), values: bits(3), mean: bits(4) };
    const shared = { tally: "tally", gradients: "gradients", mask: "mask" };
    const dispatches = [
      dispatchOver(quads, {
        kernel: "optimizer/sgd",
        label: "sgd",
        bindings: { ...shared, velocity: "velocity", values: "values" },
        params: { quads, momentum: .9, weight_decay: .1 },
      }),
      ...[0, 1].map((DECOUPLED) =>
        dispatchOver(quads, {
          kernel: "optimizer/adam",
          label: "adam",
          bindings: { ...shared, velocity: "velocity", second_moment: "second_moment", values: "values" },
          params: { quads, beta1: .9, beta2: .999, epsilon: 1e-8, weight_decay: .1 },
          constants: { DECOUPLED },
        })
      ),
      runningMeanDispatch(words, "mean"),
    ];
    for (const badStep of [0, 7, noBadStep - 1, noBadStep]) {
      const { integers } = await runKernels({
        path,
        dispatches,
        buffers: {
          ...held,
          gradients: bits(5).fill(NaN),
          mask: bits(6).fill(0),
          tally: Uint32Array.of(0, 0, 0, badStep),
        },
        step: { learning_rate: .1, correction1: .1, correction2: .001, mean_weight: .5 },
      });
      for (const [name, before] of Object.entries(held)) {
        const same = integers(name).every((word, i) => word === new Uint32Array(before.buffer)[i]);
        assert.equal(same, badStep !== noBadStep, `${path} ${name} after bad step ${badStep}`);
      }
    }
  });
}
