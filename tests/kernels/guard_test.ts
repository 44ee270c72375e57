/**
 * Holds what guards a training: the check for NaN and infinities, the freeze that follows, and the running mean. The
 * running mean's tolerance: three roundings a step on values and means of at most 2.
 */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef, inputRefs } from "../../src/kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../src/kernels/dispatch.ts";
import { updateRunningMean } from "../reference/confidence.ts";
import { assertClose, F32_ROUNDOFF, randomTensor } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertSame } from "./precision.ts";

const noBadStep = 0xffffffff;
const largestFloat = 3.4028234663852886e38, smallestFloat = 2 ** -149;

/**
 * Takes steps of each optimizer that leave the values as they are (rate and gradients 0) on arrays of floats, and
 * returns what each one's tally notes afterwards.
 */
async function checkFinite(
  path: ReadPath,
  arrays: readonly Float32Array[],
  { index, before = noBadStep }: { readonly index: number; readonly before?: number },
): Promise<number[]> {
  const noted: number[] = [];
  for (const kernel of ["sgd", "adam"] as const) {
    const { integers, floats } = await runKernels({
      path,
      dispatches: arrays.map(({ length }, i) =>
        stepDispatch(kernel, length / 4, {
          values: `values${i}`,
          tally: `tally${i}`,
          ...(kernel === "sgd"
            ? { velocity: `first${i}` }
            : { first_moment: `first${i}`, second_moment: `second${i}` }),
        })
      ),
      buffers: {
        ...Object.fromEntries(arrays.flatMap((values, i) => [
          [`values${i}`, values],
          [`tally${i}`, Uint32Array.of(1, 2, 3, before)],
          [`first${i}`, values.length],
          [`second${i}`, values.length],
        ])),
        gradients: arrays[0].length,
        mask: new Float32Array(arrays[0].length).fill(1),
        gradient_scale: 1,
      },
      step: { index, learning_rate: 0, correction1: 1, correction2: 1 },
    });
    for (const [i, values] of arrays.entries()) {
      const tally = integers(`tally${i}`);
      assertSame(tally.subarray(0, 3), [1, 2, 3], "the rest of the tally");
      noted.push(tally[3]);
      const after = floats(`values${i}`);
      assert(after.every((value, at) => value === values[at] || !Number.isFinite(values[at])), "values stay");
    }
  }
  return noted;
}

/** A step of an optimizer without decay, momentum and clipping. */
function stepDispatch(
  kernel: "sgd" | "adam",
  quads: number,
  bindings: Readonly<Record<string, string>> = {},
  params: Readonly<Record<string, number>> = {},
): Dispatch {
  const shared = ["tally", "gradients", "gradient_scale", "mask", "values"];
  const names = [...shared, ...(kernel === "sgd" ? ["velocity"] : ["first_moment", "second_moment"])];
  const own: Dispatch["params"] = kernel === "sgd" ? { momentum: 0 } : { beta1: 0, beta2: 0, epsilon: 1 };
  return dispatchOver(quads, {
    kernel: `optimizer/${kernel}`,
    label: kernel,
    bindings: inputRefs({ ...Object.fromEntries(names.map((name) => [name, name])), ...bindings }),
    params: { quads, decayed_quads: quads, weight_decay: 0, l1: 0, clip_value: 0, ...own, ...params },
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
    bindings: { tally: inputRef("tally"), values: inputRef("values"), mean: inputRef(mean) },
    params: { quads: length / 4 },
  });
}

for (const path of readPaths) {
  Deno.test(`sgd() and adam() note NaN and infinities in any lane, ${path} path`, async () => {
    const bad = [NaN, Infinity, -Infinity];
    const places = [4, 9, 66 * 4 + 2, 130 * 4 + 3];
    const arrays = bad.flatMap((value) => places.map((place) => valuesWith(value, place)));
    const twice = [...arrays, ...arrays];
    // Twice the step, and one more: a value and not the loss.
    assertSame(await checkFinite(path, arrays, { index: 5 }), twice.map(() => 11), `${path} bad steps`);
    for (const before of [3, 10]) {
      const noted = await checkFinite(path, [arrays[0]], { index: 5, before });
      assertSame(noted, [before, before], "the first bad step stays");
    }
    assertSame(await checkFinite(path, [Float32Array.of(1, 2, 3, NaN)], { index: 0 }), [1, 1], "one quad");
  });

  Deno.test(`sgd() and adam() accept the largest and the smallest floats, ${path} path`, async () => {
    const noted = await checkFinite(path, [valuesWith(1, 4)], { index: 5 });
    assertSame(noted, [noBadStep, noBadStep], `${path} bad step`);
  });

  Deno.test(`sgd() and adam() are frozen by earlier steps and this one's loss, not by their own values, ${path} path`, async () => {
    const quads = 130, start = new Float32Array(4 * quads).fill(1);
    for (const kernel of ["sgd", "adam"] as const) {
      for (const [noted, moves] of [[8, false], [9, false], [10, false], [11, true], [12, true]] as const) {
        const { floats } = await runKernels({
          path,
          dispatches: [stepDispatch(kernel, quads)],
          buffers: {
            tally: Uint32Array.of(0, 0, 0, noted),
            gradients: start,
            gradient_scale: 1,
            mask: start,
            ...(kernel === "sgd"
              ? { velocity: 4 * quads }
              : { first_moment: 4 * quads, second_moment: 4 * quads }),
            values: start,
          },
          step: { index: 5, learning_rate: .5, correction1: 1, correction2: 1 },
        });
        const moved = floats("values").map((value) => value === 1 ? 0 : 1);
        assertSame(moved, start.map(() => moves ? 1 : 0), `${path} ${kernel} with ${noted} noted`);
      }
    }
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
    const held = {
      velocity: bits(1),
      "first_moment": bits(7),
      "second_moment": bits(2),
      values: bits(3),
      mean: bits(4),
    };
    const dispatches = [
      stepDispatch("sgd", quads, {}, { momentum: .9, weight_decay: .1 }),
      ...[0, 1].map((DECOUPLED) => ({
        ...stepDispatch("adam", quads, {}, { beta1: .9, beta2: .999, epsilon: 1e-8, weight_decay: .1 }),
        constants: { DECOUPLED },
      })),
      runningMeanDispatch(words, "mean"),
    ];
    for (const badStep of [0, 7, noBadStep - 1, noBadStep]) {
      const { integers } = await runKernels({
        path,
        dispatches,
        buffers: {
          ...held,
          gradients: bits(5).fill(NaN),
          gradient_scale: 1,
          mask: bits(6).fill(0),
          tally: Uint32Array.of(0, 0, 0, badStep),
        },
        step: { learning_rate: .1, correction1: .1, correction2: .001, mean_weight: .5, index: 2 ** 31 - 1 },
      });
      for (const [name, before] of Object.entries(held)) {
        const same = integers(name).every((word, i) => word === new Uint32Array(before.buffer)[i]);
        assert.equal(same, badStep !== noBadStep, `${path} ${name} after bad step ${badStep}`);
      }
    }
  });
}
